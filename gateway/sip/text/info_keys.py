# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that a SIP INFO tells of, in every dialect that is in use. Pure: type and body in, a key out.

No RFC says how: RFC 2976 left it to whoever met, and RFC 6086 §10.2 lists no package for it. Two bodies are common:

    application/dtmf-relay      Signal=5            a line each, in any order, blanks and case as the sender likes;
                                Duration=160        application/vnd.nortelnetworks.digits has `d=5`
    application/dtmf            5                   or as above

A signal is the key itself, or the number of its event (RFC 4733 §3.2): 10 is `*`, 11 `#`, 12 to 15 are A to D.
"""

TYPES = ("application/dtmf-relay", "application/dtmf", "application/vnd.nortelnetworks.digits")
"""The types of body that are read, the commonest first."""

_KEYS = "0123456789*#ABCD"
_NAMES = frozenset({"signal", "d"})
_LONGEST = 256
"""Characters of a body that tells of one key; what is longer is something else."""


class UnknownKeyError(ValueError):
    """The body tells of no key that can be passed on; the text says why."""


def read_key(body: str) -> str:
    """The key, one of `0123456789*#ABCD`, that the body of one of TYPES tells of. Raises UnknownKeyError."""
    if len(body) > _LONGEST:
        raise UnknownKeyError("too long for one key")
    lines = [line.strip() for line in body.splitlines() if line.strip(" \t\0")]
    signals = [value.strip() for name, _, value in map(_parted, lines) if name.strip().lower() in _NAMES]
    if not signals and len(lines) == 1 and "=" not in lines[0]:
        signals = lines
    if len(set(signals)) != 1:
        raise UnknownKeyError("more than one signal" if signals else "no signal")
    return _key(signals[0])


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition("=" if "=" in line else ":")


def _key(signal: str) -> str:
    text = signal.strip('"').upper()
    if len(text) == 1 and text in _KEYS:
        return text
    if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) < len(_KEYS):
        return _KEYS[int(text)]
    raise UnknownKeyError(f"no key: {signal[:16]!r}")
