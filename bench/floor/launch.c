/*
 * launch LOG PROGRAM [ARGUMENT...]
 *
 * Runs a program with its standard error going to LOG, and writes how long it
 * took, from before it was started until it was waited for, and the processor
 * time of it and its children, both in nanoseconds, and the largest resident
 * set that it had, in KiB.
 *
 * It is not the benchmark itself that starts the program, because the kernel
 * counts the memory of whoever calls execve into ru_maxrss (exec_mmap in
 * fs/exec.c); this one has next to none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long nanoseconds(struct timeval t)
{
	return t.tv_sec * 1000000000LL + t.tv_usec * 1000LL;
}

static int spawn(pid_t *pid, const char *log, char **argv)
{
	posix_spawn_file_actions_t files;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	return posix_spawn(pid, argv[0], &files, NULL, argv, environ);
}

int main(int argc, char **argv)
{
	struct rusage usage;
	long long start, end;
	int error, status;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: launch LOG PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	start = now();
	error = spawn(&pid, argv[1], argv + 2);
	if (error) {
		fprintf(stderr, "%s: %s\n", argv[2], strerror(error));
		return 1;
	}
	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR) {
			perror("wait4");
			return 1;
		}
	end = now();
	printf("%lld %lld %ld\n", end - start, nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime), usage.ru_maxrss);
	if (status != 0) {
		fprintf(stderr, "%s: wait status 0x%x\n", argv[2], status);
		return 1;
	}
	return 0;
}
