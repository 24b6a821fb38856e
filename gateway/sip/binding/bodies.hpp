/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a request's body is, and whether it has to be understood (RFC 3261 §8.2.3, RFC 5621 §4, §8).
 */
#pragma once

#include <vector>

#include "fields.hpp"

struct pjsip_rx_data;

namespace gateway {

enum class BodyVerdict {
    FINE,
    OPTIONAL,     /* nobody here understands it, and nobody has to */
    UNSUPPORTED,  /* 415 */
    ENCODED,      /* 415, and in which encoding it would be understood */
};

/* Judge the body of a request that may describe a call. */
BodyVerdict judge_description(const pjsip_rx_data *rdata, const std::vector<Field> &fields);

/* Whether the body is in an encoding that is not known here, such as gzip (RFC 3261 §20.12). */
bool is_encoded(const std::vector<Field> &fields);

/* Whether the headers say that the body may be ignored. */
bool may_be_ignored(const std::vector<Field> &fields);

/* Go on as if the request had no body. */
void drop_body(pjsip_rx_data *rdata);

/* Whether a description of a call may be answered: no Accept, or one that takes application/sdp (RFC 3261 §20.1). */
bool accepts_descriptions(const std::vector<Field> &fields);

}
