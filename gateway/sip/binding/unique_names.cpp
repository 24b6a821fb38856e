/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unique_names.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include <pjlib.h>

/* PJLIB's own, of which the linker (--wrap) has PJSIP call ours for a Call-ID and for a tag. */
extern "C" {
void __real_pj_create_unique_string(pj_pool_t *pool, pj_str_t *made);
void __wrap_pj_create_unique_string(pj_pool_t *pool, pj_str_t *made);
}

namespace gateway {

namespace {

const size_t LONGEST = 32;

std::string beginning_;

}

void begin_names(const std::string &token)
{
    const bool fits = token.size() <= LONGEST && std::all_of(token.begin(), token.end(), [](unsigned char letter) {
                          return letter < 0x80 && std::isalnum(letter);
                      });
    if (!fits)
        throw std::invalid_argument("the token of Call-IDs and tags must be up to 32 letters and digits");
    beginning_ = token.empty() ? token : token + "-";
}

}

void __wrap_pj_create_unique_string(pj_pool_t *pool, pj_str_t *made)
{
    const std::string &beginning = gateway::beginning_;
    if (beginning.empty()) {
        __real_pj_create_unique_string(pool, made);
        return;
    }
    made->ptr = static_cast<char *>(pj_pool_alloc(pool, beginning.size() + pj_GUID_STRING_LENGTH()));
    beginning.copy(made->ptr, beginning.size());
    pj_str_t rest{made->ptr + beginning.size(), 0};
    pj_generate_unique_string(&rest);
    made->slen = static_cast<pj_ssize_t>(beginning.size()) + rest.slen;
}
