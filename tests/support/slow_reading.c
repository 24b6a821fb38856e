/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into a gateway that takes RTP on $SLOW_PORTS and above: the thread that first begins to listen there goes on a
 * fiftieth of a second later, and the one that reads the first packet there a tenth of a second later, as threads may
 * that are kept from going on. Neither holds the lock any more under which it did so.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LISTENED_US 20000
#define READ_US 100000

static __thread int held; /* locks, by this thread */
static __thread int at_most; /* so many, when it waits */
static __thread unsigned later_us;

static int is_rtp(int socket)
{
    struct sockaddr_in own;
    socklen_t size = sizeof(own);
    return getenv("SLOW_PORTS") && getsockname(socket, (struct sockaddr *)&own, &size) == 0 &&
           own.sin_family == AF_INET && ntohs(own.sin_port) >= atoi(getenv("SLOW_PORTS")) &&
           ntohs(own.sin_port) % 2 == 0; /* RFC 3550 §11 */
}

int epoll_ctl(int queue, int operation, int socket, struct epoll_event *event)
{
    static int seen;
    if (event && event->events & EPOLLIN && is_rtp(socket) && __sync_fetch_and_add(&seen, 1) == 0) {
        later_us = LISTENED_US;
        at_most = held - 2; /* the queue's and the socket's */
    }
    return (int)syscall(SYS_epoll_ctl, queue, operation, socket, event);
}

ssize_t recvfrom(int socket, void *packet, size_t room, int flags, struct sockaddr *from, socklen_t *size)
{
    static int seen;
    ssize_t length = syscall(SYS_recvfrom, socket, packet, room, flags, from, size);
    if (length > 0 && is_rtp(socket) && __sync_fetch_and_add(&seen, 1) == 0) {
        later_us = READ_US;
        at_most = held - 1;
    }
    return length;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*lock)(pthread_mutex_t *);
    if (!lock)
        lock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
    int status = lock(mutex);
    held += status == 0;
    return status;
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    static int (*lock)(pthread_mutex_t *);
    if (!lock)
        lock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_trylock");
    int status = lock(mutex);
    held += status == 0;
    return status;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static int (*unlock)(pthread_mutex_t *);
    if (!unlock)
        unlock = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    int status = unlock(mutex);
    held -= status == 0;
    if (later_us && held <= at_most) {
        usleep(later_us);
        later_us = 0;
    }
    return status;
}
