/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "printing.hpp"

#include <cstring>

#include <pjsip.h>

#include "modules.hpp"

/* PJSIP's own, of which the linker (--wrap) has PJSIP call ours where it asks how long a request is before it is sent. */
extern "C" {
pj_status_t __real_pjsip_tx_data_encode(pjsip_tx_data *tdata);
pj_status_t __wrap_pjsip_tx_data_encode(pjsip_tx_data *tdata);
}

namespace gateway {

namespace {

char *allocated(pj_pool_t *pool, size_t size)
{
    char *volatile made = nullptr;
    PJ_USE_EXCEPTION;
    PJ_TRY {
        made = static_cast<char *>(pj_pool_alloc(pool, size));
    }
    PJ_CATCH_ANY {
        made = nullptr;
    }
    PJ_END
    return made;
}

/* Print the message, unless that is done, into a buffer of its length, with the 0 behind it that PJSIP puts there. What
 * was changed since and has become longer gets another one. */
pj_status_t print(pjsip_tx_data *tdata)
{
    if (tdata->buf.start && pjsip_tx_data_is_valid(tdata))
        return PJ_SUCCESS;
    static thread_local char printed[PJSIP_MAX_PKT_LEN];
    const pj_ssize_t length = pjsip_msg_print(tdata->msg, printed, sizeof(printed) - 1);
    if (length < 0)
        return PJSIP_EMSGTOOLONG;
    const size_t size = static_cast<size_t>(length) + 1;
    if (!tdata->buf.start || static_cast<size_t>(tdata->buf.end - tdata->buf.start) < size) {
        char *buffer = allocated(tdata->pool, size);
        if (!buffer)
            return PJ_ENOMEM;
        tdata->buf.start = buffer;
        tdata->buf.end = buffer + size;
    }
    std::memcpy(tdata->buf.start, printed, static_cast<size_t>(length));
    tdata->buf.start[length] = '\0';
    tdata->buf.cur = tdata->buf.start + length;
    return PJ_SUCCESS;
}

}

void print_closely()
{
    static pjsip_module module;
    module = named_module("mod-gateway-printing", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 1);
    module.on_tx_request = guarded<&print>;
    module.on_tx_response = guarded<&print>;
    register_module(module);
}

}

pj_status_t __wrap_pjsip_tx_data_encode(pjsip_tx_data *tdata)
{
    return gateway::guarded<&gateway::print, PJ_EUNKNOWN>(tdata);
}
