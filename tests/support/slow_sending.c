/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into a program that sends RTP: the first packet to $SLOW_TO is on its way at once, but the thread that sends it
 * learns so half a second later, as one may that is kept from going on.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LATER_US 500000
#define RTP_HEADER 12

static int is_rtp_to(const char *host, const unsigned char *packet, size_t length, const struct sockaddr *to)
{
    struct in_addr wanted;
    if (!host || !to || to->sa_family != AF_INET || length < RTP_HEADER || packet[0] != 0x80)
        return 0;
    return inet_pton(AF_INET, host, &wanted) == 1 &&
           ((const struct sockaddr_in *)to)->sin_addr.s_addr == wanted.s_addr && (packet[1] & 0x7F) < 64; /* no RTCP */
}

ssize_t sendto(int socket, const void *packet, size_t length, int flags, const struct sockaddr *to, socklen_t size)
{
    static int seen;
    ssize_t sent = syscall(SYS_sendto, socket, packet, length, flags, to, size);
    if (is_rtp_to(getenv("SLOW_TO"), packet, length, to) && __sync_fetch_and_add(&seen, 1) == 0)
        usleep(LATER_US);
    return sent;
}
