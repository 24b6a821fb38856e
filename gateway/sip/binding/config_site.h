/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Compile-time settings of the PJSIP inside our binding. Whatever is not here keeps PJSIP's default.
 * A change rebuilds everything (about two minutes): the file is part of the cache key of the compiled libraries.
 */

/* Legs. A maxCalls above this is clamped silently, so the gateway compares the two at start. */
#define PJSUA_MAX_CALLS                 2048
/* Announcements at a time; a player outlives its sound by some seconds. */
#define PJSUA_MAX_PLAYERS               512
/* A port per leg, one for the tone generator of each caller who waits, and the players. */
#define PJSUA_MAX_CONF_PORTS            (PJSUA_MAX_CALLS + PJSUA_MAX_CALLS / 2 + PJSUA_MAX_PLAYERS)
/* One account per trunk, PBX and transport. */
#define PJSUA_MAX_ACC                   32

/* Off by default, and without it an account on IPv6 is refused. */
#define PJ_HAS_IPV6                     1

/* Sockets of one ioqueue: four a bridged call, the listeners, and every TCP or TLS connection. */
#define PJ_IOQUEUE_MAX_HANDLES          16384
#define PJSIP_MAX_NET_EVENTS            32
/* Looked at in one poll. The socket of a connection that is gone is among them until its last dialog lets go of it. */
#define PJ_IOQUEUE_MAX_CAND_EVENTS      256
#define PJSIP_MAX_TIMED_OUT_ENTRIES     64

/* PJSIP and PJSUA have 17, and we twenty more; one too many is refused without a word, and would write beside its data. */
#define PJSIP_MAX_MODULE                64

/* Hash tables want 2^n - 1. A transfer holds three dialogs and some ten transactions for 32 s after the last. */
#define PJSIP_MAX_TSX_COUNT             16383
#define PJSIP_MAX_DIALOG_COUNT          8191
#define PJSIP_TPMGR_HTABLE_SIZE         511

/* An INVITE of a voice platform carries tokens and JSON in its headers; the default of 4000 is cut short. */
#define PJSIP_MAX_PKT_LEN               8000
#define PJ_LOG_MAX_SIZE                 8000

/* A burst that arrives while the loop is busy waits in the kernel instead of being lost and retransmitted. */
#define PJSIP_UDP_SO_RCVBUF_SIZE        (8 * 1024 * 1024)
#define PJSIP_UDP_SO_SNDBUF_SIZE        (4 * 1024 * 1024)
#define PJSIP_TCP_TRANSPORT_BACKLOG     128
/* PJSIP names no setting for the listener of TLS; it takes PJLIB's, which is 5. */
#define PJ_SOMAXCONN                    128

/* PJLIB closes a listener for good after so many accept() in a row that brought nothing, 50 unless told. Whoever turns
 * connections away (connections.cpp), or has no descriptor left for a while, has as many as a peer likes to cause. */
#define PJ_ACTIVESOCK_MAX_CONSECUTIVE_ACCEPT_ERROR 0x7FFFFFFF

/* Telephony levels the callers' audio itself: the bridge only passes it on. */
#define PJMEDIA_CONF_USE_AGC            0
#define PJMEDIA_CONF_BACKEND            PJMEDIA_CONF_PARALLEL_BRIDGE_BACKEND
#define PJMEDIA_HAS_VIDEO               0
