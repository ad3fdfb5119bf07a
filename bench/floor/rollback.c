/*
 * rollback DEVICE
 *
 * Makes the subvolume @ a snapshot of @blank and moves the old one to
 * @roots/000001, durably, with nothing but the system calls that this takes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE (1 << 1)
#endif

static int must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static int open_top_level(const char *device)
{
	int context, mount;

	context = must(syscall(SYS_fsopen, "btrfs", FSOPEN_CLOEXEC), "fsopen");
	must(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", device, 0), "source");
	must(syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "subvolid", "5", 0), "subvolid");
	must(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "create superblock");
	mount = must(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0), "fsmount");
	close(context);
	return mount;
}

int main(int argc, char **argv)
{
	struct btrfs_ioctl_vol_args_v2 snapshot = {0};
	int mount, top, archive;

	if (argc < 2) {
		fprintf(stderr, "usage: rollback DEVICE\n");
		return 2;
	}
	mount = open_top_level(argv[1]);
	/* A descriptor of a mount is O_PATH, which ioctls refuse. */
	top = must(openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open top level");
	archive = must(openat(top, "@roots", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open archive");
	snapshot.fd = must(openat(top, "@blank", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open @blank");
	strcpy(snapshot.name, "new");
	must(ioctl(archive, BTRFS_IOC_SNAP_CREATE_V2, &snapshot), "snapshot");
	must(syscall(SYS_renameat2, archive, "new", top, "@", RENAME_EXCHANGE), "exchange");
	must(syscall(SYS_renameat2, archive, "new", archive, "000001", RENAME_NOREPLACE), "rename");
	must(ioctl(top, BTRFS_IOC_SYNC), "sync");
	return 0;
}
