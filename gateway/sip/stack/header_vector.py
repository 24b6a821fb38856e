# SPDX-License-Identifier: GPL-2.0-or-later
"""Headers as PJSIP takes them."""

from __future__ import annotations

from collections.abc import Iterable

import pjsua2 as pj


def sip_headers(pairs: Iterable[tuple[str, str]]) -> pj.SipHeaderVector:
    """The names and values of headers, in their order."""
    vector = pj.SipHeaderVector()
    for name, value in pairs:
        header = pj.SipHeader()
        header.hName, header.hValue = name, value
        vector.append(header)
    return vector
