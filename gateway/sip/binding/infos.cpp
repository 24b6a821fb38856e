/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "infos.hpp"

#include <cstdint>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"

namespace gateway {

namespace {

pjsip_module before_, after_; // the INVITE session, among a dialog's usages

bool is_fatal(const pjsip_transaction *tsx)
{
    return tsx->role == PJSIP_ROLE_UAC && pj_stricmp2(&tsx->method.name, "INFO") == 0 &&
           (tsx->status_code == PJSIP_SC_REQUEST_TIMEOUT || tsx->status_code == PJSIP_SC_CALL_TSX_DOES_NOT_EXIST);
}

/* The session is shown a refusal like any other. */
void hide(pjsip_transaction *tsx, pjsip_event *)
{
    if (!is_fatal(tsx))
        return;
    tsx->mod_data[before_.id] = reinterpret_cast<void *>(static_cast<std::uintptr_t>(tsx->status_code));
    tsx->status_code = PJSIP_SC_INTERNAL_SERVER_ERROR;
}

/* Whoever comes behind it is told what it was. */
void show(pjsip_transaction *tsx, pjsip_event *)
{
    void *&hidden = tsx->mod_data[before_.id];
    if (!hidden)
        return;
    tsx->status_code = static_cast<int>(reinterpret_cast<std::uintptr_t>(hidden));
    hidden = nullptr;
}

}

void watch_infos()
{
    before_ = named_module("mod-gateway-infos-before", PJSIP_MOD_PRIORITY_DIALOG_USAGE - 1);
    before_.on_tsx_state = guarded<&hide>;
    after_ = named_module("mod-gateway-infos-after", PJSIP_MOD_PRIORITY_DIALOG_USAGE + 1);
    after_.on_tsx_state = guarded<&show>;
    register_module(before_);
    register_module(after_);
}

void bear_infos(pjsip_dialog *dialog)
{
    pjsip_dlg_add_usage(dialog, &before_, nullptr);
    pjsip_dlg_add_usage(dialog, &after_, nullptr);
}

}
