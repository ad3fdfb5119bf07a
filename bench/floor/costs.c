/*
 * costs
 *
 * Writes what the machine takes for a page fault and for a system call that
 * does next to nothing, both in nanoseconds, the least of several rounds. In a
 * virtual machine both may cost many times what they cost on bare metal.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 20
#define PAGES 2000
#define CALLS 20000

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* faults writes to each of a number of new pages. */
static long long faults(void)
{
	long page = sysconf(_SC_PAGESIZE);
	long long start, end;
	volatile char *pages;
	long i;

	pages = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return -1;
	madvise((void *)pages, PAGES * page, MADV_NOHUGEPAGE);
	start = now();
	for (i = 0; i < PAGES; i++)
		pages[i * page] = 1;
	end = now();
	munmap((void *)pages, PAGES * page);
	return end - start;
}

static long long calls(void)
{
	long long start = now();
	long i;

	for (i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	return now() - start;
}

int main(void)
{
	long long fault = -1, call = -1, t;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		t = faults();
		if (t < 0) {
			perror("mmap");
			return 1;
		}
		if (fault < 0 || t < fault)
			fault = t;
		t = calls();
		if (call < 0 || t < call)
			call = t;
	}
	printf("%lld %lld\n", fault / PAGES, call / CALLS);
	return 0;
}
