# SPDX-License-Identifier: GPL-2.0-or-later
"""What a platform's trunk wants to have otherwise than by default; the same as the profiles that are shipped.

Those in sip_profiles/ say why, and a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Platform:
    """A voice platform: its name as people write it, and the keys of its profile that differ from the defaults."""

    title: str
    keys: Mapping[str, object] = field(default_factory=dict)


_NORTH_AMERICAN = ["PCMU", "PCMA", "G722", "opus"]
PLATFORMS: Mapping[str, Platform] = {
    "hms": Platform("HMS Sovereign", {"reason_phrase": "sentence"}),
    "livekit": Platform("LiveKit SIP", {"reason_phrase": "sentence"}),
    "jambonz": Platform("jambonz", {"deadline_s": 15, "pass_headers": ["User-to-User", "X-*", "Referred-By"]}),
    "twilio": Platform("Twilio", {"codecs": ["PCMU", "PCMA", "opus"]}),
    "vapi": Platform("Vapi", {"deadline_s": 60, "codecs": _NORTH_AMERICAN}),
    "generic": Platform("another platform"),
}
"""By the name that `[platform] name` of the answers has; all but `generic` are the names of their profiles too."""
