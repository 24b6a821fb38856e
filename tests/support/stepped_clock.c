/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into a program: the time of day is that of the machine and as many nanoseconds more (or less) as the first
 * eight bytes of the file $CLOCK_STEP say, which whoever sets the clock writes. Clocks that are never set are as they are.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL

static volatile int64_t *step;

__attribute__((constructor)) static void look(void)
{
    const char *path = getenv("CLOCK_STEP");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    step = mapped == MAP_FAILED ? NULL : mapped;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (failed || !step || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return (int)failed;
    int64_t ns = now->tv_sec * NS + now->tv_nsec + *step;
    now->tv_sec = ns / NS;
    now->tv_nsec = ns % NS;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec read;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &read);
    now->tv_sec = read.tv_sec;
    now->tv_usec = read.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *told)
{
    struct timespec read;
    clock_gettime(CLOCK_REALTIME, &read);
    if (told)
        *told = read.tv_sec;
    return read.tv_sec;
}
