/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into the gateway: counts what it allocates, in a file that others read while it runs ($COUNTS_FILE, an array of
 * 64-bit numbers; see counters.py for what stands where). Who allocates is told by where the call comes from; Python's own
 * objects are seen with PYTHONMALLOC=malloc only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OTHER, PYTHON, PJSIP, KINDS };

/* glibc's own, which leaves nobody to look them up, as dlsym() does, by allocating. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static int64_t before[KINDS], *counts = before;
static struct {
    uintptr_t begin, end;
} range[KINDS];

static void counted(void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    int kind = KINDS - 1;
    while (kind != OTHER && (at < range[kind].begin || at >= range[kind].end))
        kind--;
    __atomic_fetch_add(&counts[kind], 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
    counted(__builtin_return_address(0));
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    counted(__builtin_return_address(0));
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    counted(__builtin_return_address(0));
    return __libc_realloc(old, size);
}

static int look(struct dl_phdr_info *object, size_t size, void *python)
{
    int kind = strstr(object->dlpi_name, "/_pjsua2.") ? PJSIP : OTHER;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + part->p_vaddr, end = begin + part->p_memsz;
        int is_code = part->p_type == PT_LOAD && part->p_flags & PF_X;
        if (is_code && (uintptr_t)python >= begin && (uintptr_t)python < end)
            kind = PYTHON;
        if (is_code && kind != OTHER) {
            range[kind].begin = begin;
            range[kind].end = end;
        }
    }
    return 0;
}

/* Called by the gateway's process once everything is loaded. */
void find_who_allocates(void)
{
    dl_iterate_phdr(look, dlsym(RTLD_DEFAULT, "PyMem_RawMalloc"));
}

__attribute__((constructor)) static void map_counts(void)
{
    const char *name = getenv("COUNTS_FILE");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    void *mapped = MAP_FAILED;
    if (file >= 0) {
        mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
    }
    if (mapped != MAP_FAILED)
        counts = mapped;
}
