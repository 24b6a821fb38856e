/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "calls.hpp"

#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

namespace gateway {

namespace {

/* An explicit instantiation may name a private member ([temp.explicit]): the only way to it without a patch. */
template <typename Tag, typename Tag::Type member> struct Reach {
    friend typename Tag::Type reach(Tag)
    {
        return member;
    }
};

struct CallNumber {
    using Type = int pj::Call::*;
    friend Type reach(CallNumber);
};

template struct Reach<CallNumber, &pj::Call::id>;

}

pjsua_call *call_at(int callId)
{
    if (callId < 0 || callId >= static_cast<int>(pjsua_var.ua_cfg.max_calls) || !pjsua_var.calls[callId].inv)
        return nullptr;
    return &pjsua_var.calls[callId];
}

void release_call(pj::Call &call)
{
    call.*reach(CallNumber()) = PJSUA_INVALID_ID;
}

}
