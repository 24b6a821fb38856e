/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "calls.hpp"

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

void release_call(pj::Call &call)
{
    call.*reach(CallNumber()) = PJSUA_INVALID_ID;
}

}
