/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An INVITE of ours that a proxy has forked may be answered by several; PJSUA keeps the first, and gives each further one a
 * dialog of its own, an ACK and a BYE (RFC 3261 §13.2.2.4). Whoever answers again and again under new tags would have as
 * many dialogs and BYEs as they like. So there are a few of them at a time for each INVITE. Who answers beyond that is not
 * heard: they send their 2xx again, and get their BYE once there is room.
 */
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"
#include "networks.hpp"
#include "strangers.hpp"

extern "C" pjsip_dialog *__real_on_dlg_forked(pjsip_dialog *first, pjsip_rx_data *response);
extern "C" pjsip_dialog *__wrap_on_dlg_forked(pjsip_dialog *first, pjsip_rx_data *response);

namespace gateway {

namespace {

/* Dialogs of one INVITE: that of the call, and those that are being hung up. */
const pj_size_t MOST = 1 + 8;

/* The dialog of a further answer, or null where there is none to be. PJSIP holds the table of dialogs meanwhile. */
pjsip_dialog *forked(pjsip_dialog *first, pjsip_rx_data *response)
{
    const bool answers = response->msg_info.msg->line.status.code / 100 == 2;
    // All dialogs with one tag of ours are in a ring, of which one more element is its head.
    if (answers && pj_list_size(first) >= MOST) {
        count_turned_away("at-capacity", address_of(response->pkt_info.src_addr));
        return nullptr;
    }
    return __real_on_dlg_forked(first, response);
}

}

}

/* The linker's --wrap: what PJSUA does with a response to an INVITE whose tag is new. */
pjsip_dialog *__wrap_on_dlg_forked(pjsip_dialog *first, pjsip_rx_data *response)
{
    return gateway::guarded<&gateway::forked, nullptr>(first, response);
}
