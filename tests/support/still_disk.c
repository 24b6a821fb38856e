/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into a program: a disk that stands still. While there is a file named $STILL_WHILE, whoever opens, reads, writes or
 * looks at a file waits, and goes on when that one is gone, as if nothing had been. What is in memory alone is no file here:
 * pipes and sockets, memfd_create(2), /proc, /sys and /dev.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define LOOK_US 10000

static int is_still(void)
{
    const char *flag = getenv("STILL_WHILE");
    return flag && syscall(SYS_faccessat, AT_FDCWD, flag, F_OK) == 0;
}

static void wait_for(const char *path)
{
    static const char *const in_memory[] = {"/proc/", "/sys/", "/dev/", "/memfd:"};
    for (size_t each = 0; each < sizeof(in_memory) / sizeof(*in_memory); ++each)
        if (!path || strncmp(path, in_memory[each], strlen(in_memory[each])) == 0)
            return;
    while (is_still())
        usleep(LOOK_US);
}

static void wait_for_file(int file)
{
    char link[64], path[PATH_MAX];
    ssize_t length;
    if (!is_still())
        return;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
    length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof(path) - 1);
    if (length < 0)
        return;
    path[length] = 0;
    if (*path == '/') /* neither pipe:[1] nor socket:[1] */
        wait_for(path);
}

#define MODE_OF(flags)                                                                                                                     \
    mode_t mode = 0;                                                                                                                       \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                                                 \
        va_list more;                                                                                                                      \
        va_start(more, flags);                                                                                                             \
        mode = va_arg(more, mode_t);                                                                                                       \
        va_end(more);                                                                                                                      \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    wait_for(path);
    return NEXT(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags)
    wait_for(path);
    return NEXT(open64)(path, flags, mode);
}

FILE *fopen(const char *path, const char *how)
{
    wait_for(path);
    return NEXT(fopen)(path, how);
}

FILE *fopen64(const char *path, const char *how)
{
    wait_for(path);
    return NEXT(fopen64)(path, how);
}

size_t fread(void *to, size_t size, size_t count, FILE *stream)
{
    wait_for_file(fileno(stream));
    return NEXT(fread)(to, size, count, stream);
}

#define BY_FILE(type, name, parameters, arguments)                                                                                         \
    type name parameters                                                                                                                   \
    {                                                                                                                                      \
        wait_for_file(file);                                                                                                               \
        return NEXT(name) arguments;                                                                                                       \
    }
#define BY_PATH(type, name, parameters, arguments)                                                                                         \
    type name parameters                                                                                                                   \
    {                                                                                                                                      \
        wait_for(path);                                                                                                                    \
        return NEXT(name) arguments;                                                                                                       \
    }

BY_FILE(ssize_t, read, (int file, void *to, size_t size), (file, to, size))
BY_FILE(ssize_t, write, (int file, const void *from, size_t size), (file, from, size))
BY_FILE(ssize_t, pread64, (int file, void *to, size_t size, off64_t at), (file, to, size, at))
BY_FILE(ssize_t, pwrite64, (int file, const void *from, size_t size, off64_t at), (file, from, size, at))
BY_FILE(int, fsync, (int file), (file))
BY_FILE(int, fdatasync, (int file), (file))
BY_FILE(int, ftruncate64, (int file, off64_t length), (file, length))
BY_FILE(int, fstat, (int file, struct stat *found), (file, found))
BY_FILE(int, fstat64, (int file, struct stat64 *found), (file, found))
BY_PATH(int, stat, (const char *path, struct stat *found), (path, found))
BY_PATH(int, stat64, (const char *path, struct stat64 *found), (path, found))
BY_PATH(int, access, (const char *path, int how), (path, how))
BY_PATH(int, unlink, (const char *path), (path))
BY_PATH(int, rename, (const char *path, const char *to), (path, to))
