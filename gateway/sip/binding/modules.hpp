/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What all modules of ours in PJSIP have in common.
 */
#pragma once

#include <pjsip.h>

namespace gateway {

/* A module that does nothing yet; `name` has to last. Lower priorities see what comes in first. */
inline pjsip_module named_module(const char *name, int priority = 0)
{
    pjsip_module made;
    pj_bzero(&made, sizeof(made));
    made.name = pj_str(const_cast<char *>(name));
    made.id = -1;
    made.priority = priority;
    return made;
}

}
