/*
 * treesearch DIRECTORY
 *
 * Goes over the tree of the subvolume DIRECTORY in one pass and counts its
 * inodes and names, with nothing but the system calls that this takes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BUFFER (128 << 10)

static int must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

/* ask is what BTRFS_IOC_TREE_SEARCH_V2 is to look for: all from a key on. */
static void ask(struct btrfs_ioctl_search_args_v2 *args, __u64 tree, __u64 object, __u32 type, __u64 offset)
{
	memset(&args->key, 0, sizeof args->key);
	args->key.tree_id = tree;
	args->key.min_objectid = object;
	args->key.min_type = type;
	args->key.min_offset = offset;
	args->key.max_objectid = BTRFS_LAST_FREE_OBJECTID;
	args->key.max_type = 255;
	args->key.max_offset = args->key.max_transid = -1;
	args->key.nr_items = -1;
	args->buf_size = BUFFER;
}

int main(int argc, char **argv)
{
	struct btrfs_ioctl_search_args_v2 *args = malloc(sizeof *args + BUFFER);
	struct btrfs_ioctl_ino_lookup_args lookup = {.objectid = BTRFS_FIRST_FREE_OBJECTID};
	struct btrfs_ioctl_search_header header = {.objectid = BTRFS_FIRST_FREE_OBJECTID};
	unsigned long inodes = 0, names = 0;
	int fd;

	if (argc < 2 || !args) {
		fprintf(stderr, "usage: treesearch DIRECTORY\n");
		return 2;
	}
	fd = must(open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open");
	must(syncfs(fd), "sync");
	must(ioctl(fd, BTRFS_IOC_INO_LOOKUP, &lookup), "lookup");
	for (;;) {
		char *at = (char *)args->buf;

		ask(args, lookup.treeid, header.objectid, header.type, header.offset);
		must(ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, args), "search");
		if (!args->key.nr_items)
			break;
		for (__u32 i = 0; i < args->key.nr_items; i++) {
			memcpy(&header, at, sizeof header);
			inodes += header.type == BTRFS_INODE_ITEM_KEY;
			names += header.type == BTRFS_INODE_REF_KEY;
			at += sizeof header + header.len;
		}
		if (++header.offset == 0 && ++header.type == 0)
			header.objectid++;
	}
	printf("%lu inodes, %lu names\n", inodes, names);
	return 0;
}
