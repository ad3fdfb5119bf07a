/*
 * rollback DEVICE [described]
 *
 * Makes the subvolume @ a snapshot of @blank and moves the old one to
 * @roots/000001, durably, with nothing but the system calls that this takes.
 *
 * With "described" it leaves what ebb leaves: the old root is in a directory, with
 * a file beside it that was durable before, and read-only.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
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

static void take_snapshot(int source, int directory, const char *name)
{
	struct btrfs_ioctl_vol_args_v2 snapshot = {.fd = source};

	strcpy(snapshot.name, name);
	must(ioctl(directory, BTRFS_IOC_SNAP_CREATE_V2, &snapshot), "snapshot");
}

static void move_aside(int top, int blank, int archive)
{
	take_snapshot(blank, archive, "new");
	must(syscall(SYS_renameat2, archive, "new", top, "@", RENAME_EXCHANGE), "exchange");
	must(syscall(SYS_renameat2, archive, "new", archive, "000001", RENAME_NOREPLACE), "rename");
	must(ioctl(top, BTRFS_IOC_SYNC), "sync");
}

static void move_described(int top, int blank, int archive)
{
	/* As long as a meta.json. */
	static const char text[450] = "{}";
	unsigned long long flags = BTRFS_SUBVOL_RDONLY;
	int next, file, old;

	must(mkdirat(archive, ".next", 0700), "mkdir");
	next = must(openat(archive, ".next", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open .next");
	take_snapshot(blank, next, "root");
	file = must(openat(next, "meta.json", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), "create meta.json");
	must(write(file, text, sizeof(text)), "write meta.json");
	must(fsync(file), "fsync");
	close(file);
	must(syscall(SYS_renameat2, next, "root", top, "@", RENAME_EXCHANGE), "exchange");
	must(syscall(SYS_renameat2, archive, ".next", archive, "000001", RENAME_NOREPLACE), "rename");
	old = must(openat(next, "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open the old root");
	must(ioctl(old, BTRFS_IOC_SUBVOL_SETFLAGS, &flags), "set read-only"); /* commits */
}

int main(int argc, char **argv)
{
	int mount, top, archive, blank;

	if (argc < 2) {
		fprintf(stderr, "usage: rollback DEVICE [described]\n");
		return 2;
	}
	mount = open_top_level(argv[1]);
	/* A descriptor of a mount is O_PATH, which ioctls refuse. */
	top = must(openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open top level");
	archive = must(openat(top, "@roots", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open archive");
	blank = must(openat(top, "@blank", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open @blank");
	if (argc > 2)
		move_described(top, blank, archive);
	else
		move_aside(top, blank, archive);
	return 0;
}
