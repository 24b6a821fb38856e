/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into a program: the disk never has what it wrote to files whose name ends in $HANGS_AT, so whoever waits for that
 * waits without end. What is written is with the kernel all the same.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void hang_at(int file)
{
    const char *end = getenv("HANGS_AT");
    char link[64], name[PATH_MAX];
    ssize_t length;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
    length = readlink(link, name, sizeof(name));
    if (!end || length < (ssize_t)strlen(end) || memcmp(name + length - strlen(end), end, strlen(end)) != 0)
        return;
    for (;;)
        pause();
}

int fsync(int file)
{
    hang_at(file);
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    hang_at(file);
    return (int)syscall(SYS_fdatasync, file);
}
