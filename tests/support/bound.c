/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Preloaded into a program that binds its UDP sockets to no address: they are bound to $BOUND_TO instead, so that what it
 * sends comes from the address that it names, as it does from a phone that has one address only.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int bind(int socket, const struct sockaddr *address, socklen_t length)
{
    const char *to = getenv("BOUND_TO");
    struct sockaddr_in own;
    int type = 0;
    socklen_t size = sizeof(type);
    if (to && address->sa_family == AF_INET && length >= sizeof(own) &&
        getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM) {
        memcpy(&own, address, sizeof(own));
        if (own.sin_addr.s_addr == INADDR_ANY)
            inet_pton(AF_INET, to, &own.sin_addr);
        return (int)syscall(SYS_bind, socket, &own, sizeof(own));
    }
    return (int)syscall(SYS_bind, socket, address, length);
}
