/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into a program that speaks SRTP: ends it, with a line that says why, where it uses a session of libsrtp that
 * it has given up, or one that another of its threads is using. What libsrtp would read then may look well for long, so
 * nothing that was given up is freed here. The two functions whose order is at stake take a while, as they may on a busy
 * machine, so that each order comes up.
 *
 * Each session that is given up makes a line too, and so does each that is refused: $SRTP_KEY_FOR_ONE (in hex) is a key
 * with which a second session cannot be made, as if memory had run out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <srtp2/srtp.h>

#define MOST 65536
#define WHILE_US 2000
#define KEY_LENGTH 30

typedef struct {
    srtp_t session;
    int given_up;
    pid_t user; /* the thread that is inside, 0: none */
} entry;

static entry known[MOST];
static int count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void end(const char *what, const char *why)
{
    dprintf(2, "SRTP session misused: %s %s\n", what, why);
    abort();
}

static entry *find(srtp_t session, const char *what)
{
    for (int at = count - 1; at >= 0; at--)
        if (known[at].session == session)
            return &known[at];
    end(what, "a session that was never made");
    return NULL;
}

static void enter(srtp_t session, const char *what)
{
    pthread_mutex_lock(&lock);
    entry *one = find(session, what);
    if (one->given_up)
        end(what, "a session that was given up");
    if (one->user)
        end(what, "a session that another thread is using");
    one->user = gettid();
    pthread_mutex_unlock(&lock);
}

static void leave(srtp_t session)
{
    pthread_mutex_lock(&lock);
    find(session, "leaves")->user = 0;
    pthread_mutex_unlock(&lock);
}

#define ORIGINAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int refused(const unsigned char *key)
{
    static int made;
    const char *told = getenv("SRTP_KEY_FOR_ONE");
    char hex[2 * KEY_LENGTH + 1];
    for (int at = 0; at < KEY_LENGTH; at++)
        sprintf(hex + 2 * at, "%02x", key[at]);
    return told && strcmp(told, hex) == 0 && made++;
}

srtp_err_status_t srtp_create(srtp_t *session, const srtp_policy_t *policy)
{
    if (refused(policy->key)) {
        dprintf(2, "SRTP session refused\n");
        return srtp_err_status_alloc_fail;
    }
    srtp_err_status_t status = ORIGINAL(srtp_create)(session, policy);
    if (status == srtp_err_status_ok) {
        pthread_mutex_lock(&lock);
        if (count == MOST)
            end("makes", "more sessions than there is room for");
        known[count++] = (entry){*session, 0, 0};
        pthread_mutex_unlock(&lock);
    }
    return status;
}

srtp_err_status_t srtp_dealloc(srtp_t session)
{
    enter(session, "gives up");
    pthread_mutex_lock(&lock);
    find(session, "gives up")->given_up = 1;
    pthread_mutex_unlock(&lock);
    usleep(WHILE_US);
    dprintf(2, "SRTP session given up by %s\n", gettid() == getpid() ? "the loop" : "another thread");
    leave(session);
    return srtp_err_status_ok;
}

srtp_err_status_t srtp_get_stream_roc(srtp_t session, uint32_t ssrc, uint32_t *roc)
{
    usleep(WHILE_US);
    enter(session, "asks");
    usleep(WHILE_US);
    srtp_err_status_t status = ORIGINAL(srtp_get_stream_roc)(session, ssrc, roc);
    leave(session);
    return status;
}

#define WATCHED(name, parameters, ...)                                                                                 \
    srtp_err_status_t name parameters                                                                                  \
    {                                                                                                                  \
        enter(session, #name);                                                                                         \
        srtp_err_status_t status = ORIGINAL(name)(__VA_ARGS__);                                                        \
        leave(session);                                                                                                \
        return status;                                                                                                 \
    }

WATCHED(srtp_set_stream_roc, (srtp_t session, uint32_t ssrc, uint32_t roc), session, ssrc, roc)
WATCHED(srtp_protect, (srtp_t session, void *packet, int *length), session, packet, length)
WATCHED(srtp_unprotect, (srtp_t session, void *packet, int *length), session, packet, length)
WATCHED(srtp_protect_rtcp, (srtp_t session, void *packet, int *length), session, packet, length)
WATCHED(srtp_unprotect_rtcp, (srtp_t session, void *packet, int *length), session, packet, length)
