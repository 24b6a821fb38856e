# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is at the far end of a leg, as its peer asserts it from one message to the next. Pure: text in, values out.

A PBX that moves its caller keeps the dialog, and tells of the new party by a re-INVITE or UPDATE with another
P-Asserted-Identity (RFC 3325 §9.1) or Remote-Party-ID, some with another From (RFC 4916).
"""

from __future__ import annotations

from dataclasses import replace

from gateway.core.caller import Asserted
from gateway.core.uri import read_sip_uri
from gateway.sip.text.headers import COMPACT, header_fields, parse_name_addr
from gateway.sip.text.identity import read_asserted


class Connected:
    """What one leg's peer has said so far."""

    def __init__(self) -> None:
        self.known = Asserted()
        """Who is there."""
        self._last = Asserted()
        self._sender: str | None = None

    def begin(self, asserted: Asserted) -> None:
        """The peer's INVITE, or its answer to ours, says this."""
        self.known = self._last = asserted

    def answered(self, message: str) -> None:
        """The peer has accepted our INVITE with this message."""
        self.begin(read_asserted(message))

    def told(self, message: str, remote: str) -> Asserted | None:
        """What a re-INVITE, an UPDATE or a 2xx to one of ours says that was not known; None: nothing.

        `remote` is the peer's From or To at the beginning of the dialog.
        """
        said = read_asserted(message, self._new_sender(message, remote))
        again = said.identities == self._last.identities
        if said == Asserted() or said == self._last:
            return None
        self._last = said if said.identities else replace(said, identities=self._last.identities)
        if again:  # the same party as before, who may have changed their mind about being shown
            said = replace(said, identities=())
        self.known = self.known.then(said)
        return said

    def _new_sender(self, message: str, remote: str) -> list[str]:
        """The value of From, where its URI is another one than before (RFC 4916 §4.1)."""
        if message[:4].upper() == "SIP/":
            return []
        fields = header_fields(message)
        sender = next((value for name, value in fields if COMPACT.get(name.lower(), name).lower() == "from"), "")
        before, now = self._sender or _who(remote), _who(sender)
        self._sender = now
        return [sender] if now != before else []


def _who(value: str) -> str:
    """User and host of a From: what else its URI says may be left out, as PJSIP leaves out the port."""
    uri = parse_name_addr(value).uri
    read = read_sip_uri(uri.lower())
    if read is None:
        return uri.partition(":")[0].lower()
    return f"{read.user}@{read.host}"
