# SPDX-License-Identifier: GPL-2.0-or-later
"""Who calls: which of the identities in an INVITE the caller is named by, and whether they withhold it.

An identity is taken whole: the name of one is never put beside the number of another.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.core.numbers import Target, TargetError, parse_target

_WITHHELD = frozenset({
    "anonymous", "anonymously", "unavailable", "restricted", "withheld", "private", "blocked", "hidden", "suppressed",
    "anoniem", "afgeschermd", "verborgen", "onderdrukt", "anonym", "unterdrückt", "anonyme", "masqué", "privé",
    "anonimo", "anónimo", "anónima", "oculto", "privado", "anônimo", "anônima",
})  # fmt: skip
"""Words by which senders say that a caller is not to be named (RFC 3323 §4.1.1.3, RFC 5079 §1, 3GPP TS 23.003), in the
languages of the platforms' customers too; in lower case."""
_FILLING = frozenset({
    "caller", "callers", "call", "calls", "calling", "cli", "clir", "id", "identity", "name", "number", "party", "user",
    "no", "the", "by", "is", "invalid", "beller", "nummer", "anrufer", "numéro", "número", "numero", "appel",
})  # fmt: skip
"""Words that change nothing about it."""
_NOBODY = frozenset({"unknown"})
"""What stands for nobody as a user part alone: as a display name it only says that no name is known."""
_NONE = frozenset({"no caller id", "no id", "no cli", "no number", "clir"})
"""What says it without any of those words."""
_BETWEEN = re.compile(r"[\W\d_]+")


@dataclass(frozen=True, slots=True)
class CallerId:
    """What one value of From or P-Asserted-Identity says."""

    uri: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity by which a caller is known."""

    target: Target
    name: str = ""

    @property
    def number(self) -> str:
        """In E.164 where it is a phone number, else the user part."""
        return self.target.e164 or self.target.user


@dataclass(frozen=True, slots=True)
class Asserted:
    """Who is at the other end of a leg, as its peer asserts it (RFC 3325 §9.1): in its answer, or in mid call."""

    identities: tuple[CallerId, ...] = ()
    private: bool = False  # they withhold who they are
    shown: bool = False  # it says in so many words that they do not

    def party(self, dialled: str) -> Party:
        """How they are shown; `dialled` is the user part that reached them, which counts where nothing is asserted."""
        known = known_caller(self.identities, None)
        return Party(known.target.user if known else dialled, known.name if known else "", self.private)

    def then(self, said: Asserted) -> Asserted:
        """What is known when the peer has said more."""
        before, now = known_caller(self.identities, None), known_caller(said.identities, None)
        other = before is not None and now is not None and before.number != now.number
        return Asserted(said.identities or self.identities, _stays_private(self.private, said, other=other))


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a call, as whoever it is put through to is shown it (RFC 5589 §6.1: who stays, not who transfers)."""

    user: str | None  # None: not known
    name: str = ""
    private: bool = False  # they withhold who they are
    diverted: tuple[str, ...] | None = None  # whom they had called before, the latest first; None: they were called

    def then(self, said: Asserted, country: str | None) -> Party:
        """Who is there when the peer has named somebody in mid call: the same party, or another one."""
        now = known_caller(said.identities, country)
        before = known_caller([CallerId(self.user)] if self.user else (), country)
        other = now is not None and before is not None and now.number != before.number
        private = _stays_private(self.private, said, other=other)
        if now is None:
            return replace(self, private=private)
        name = now.name or ("" if other else self.name)
        diverted = () if other and self.diverted is not None else self.diverted
        return Party(now.target.user, name, private, diverted)


def _stays_private(before: bool, said: Asserted, *, other: bool) -> bool:
    """Whether a party withholds who they are after what was said: in doubt whether it is another one, as before."""
    return said.private or (before and not other and not said.shown)


def known_caller(identities: Iterable[CallerId], country: str | None) -> Caller | None:
    """The identity that names the caller best, None if none does: a phone number, else other digits, else a word.

    Of equals the first counts, so that From comes before what is asserted. A name that is missing is taken from another
    identity with the same number. `country` tells how numbers in national form are dialled.
    """
    read = [(target, one) for one in identities if (target := _target(one.uri, country)) and _names_somebody(target)]
    if not read:
        return None
    chosen = max((target for target, _ in read), key=_rank)
    same = (one.name for target, one in read if (target.e164 or target.user) == (chosen.e164 or chosen.user))
    return Caller(chosen, next((name for name in same if name and not _is_no_name(name)), ""))


def is_withheld(identity: CallerId) -> bool:
    """Whether an identity says that its caller is not to be named: by its user, its host or its display name.

    The host `anonymous.invalid` is RFC 3323's; no caller has an address in the domain `invalid` at all (RFC 2606 §2).
    """
    if _is_no_name(identity.name):
        return True
    target = _target(identity.uri, None)
    if target is None:
        text = identity.uri.lower()
        return "anonymous" in text or ".invalid" in text
    host = target.host or target.user.lower()
    return not _names_somebody(target) or host == "invalid" or host.endswith(".invalid")


def _names_somebody(target: Target) -> bool:
    return not _is_no_name(target.user) and target.user.lower() not in _NOBODY


def _is_no_name(text: str) -> bool:
    """Whether a display name or user part says that nobody is to be named: "Anonymous", `private_number`, `id-blocked`.

    It may say nothing else: "Private Bank" is a name.
    """
    words = [word for word in _BETWEEN.split(unicodedata.normalize("NFKC", text).lower()) if word]
    said = not _WITHHELD.isdisjoint(words) and all(word in _WITHHELD or word in _FILLING for word in words)
    return said or " ".join(words) in _NONE


def _rank(target: Target) -> int:
    if target.e164:
        return 2
    return int(target.user.isdecimal())


def _target(uri: str, country: str | None) -> Target | None:
    try:
        return parse_target(uri, country)
    except TargetError:
        return None
