/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What all modules of ours in PJSIP have in common.
 */
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

#include "faults.hpp"

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

/* PJSIP takes PJSIP_MAX_MODULE of them, its own included. One too many would be left out, and what it stands in front of
 * would be open: no request may come in then. Throws std::runtime_error. */
inline void register_module(pjsip_module &module)
{
    if (pjsip_endpt_register_module(pjsua_get_pjsip_endpt(), &module) != PJ_SUCCESS)
        throw std::runtime_error("PJSIP takes no further module: " + std::string(module.name.ptr, module.name.slen));
}

template <auto function, auto otherwise> struct Guard;

template <typename Result, typename... Arguments, Result (*function)(Arguments...), auto otherwise>
struct Guard<function, otherwise> {
    static Result call(Arguments... arguments) noexcept
    {
        try {
            return function(arguments...);
        } catch (const std::exception &error) {
            tell_fault("a callback of the binding", error.what());
        } catch (...) {
            tell_fault("a callback of the binding");
        }
        if constexpr (!std::is_void_v<Result>)
            return Result(otherwise);
    }
};

/* The form in which C gets a function of ours as a callback: an exception that went through C would end the process. It
 * is logged, and C is told `otherwise`: 0 is PJ_SUCCESS, or that the message is somebody else's. */
template <auto function, auto otherwise = 0> constexpr auto guarded = &Guard<function, otherwise>::call;

}
