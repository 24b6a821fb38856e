# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes up legs of a process that is gone: a re-INVITE in the dialog of each, with a fresh offer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.core.kept_call import KeptDialog
from gateway.ports import NotSent, NotSentError
from gateway.sip.calls.leg import Leg, LegEvents
from gateway.sip.calls.making import make_call, of_audio, reachable, take_in
from gateway.sip.stack.refusals import sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core.kept_call import RecoveryOrder
    from gateway.ports import Clock
    from gateway.sip.calls.leg_registry import LegRegistry
    from gateway.sip.stack.accounts import Accounts

PATIENCE_S = 8.0
"""How long a peer may leave a re-INVITE unanswered: whoever it talked with hears silence meanwhile."""
_ROUTES = 11
"""How many values come before the routes: see recovered.hpp."""
_OURS = "1"

log = structlog.get_logger(__name__)


class Recoverer:
    """Every leg that is taken up becomes a Leg in the registry; `events` is told what it does, as of one dialled."""

    def __init__(
        self,
        accounts: Accounts,
        legs: LegRegistry,
        clock: Clock,
        events: LegEvents,
        unanswered: Callable[[Leg], None],
    ) -> None:
        """`unanswered` is told of a leg whose peer has said nothing for too long."""
        self._accounts = accounts
        self._legs = legs
        self._clock = clock
        self._events = events
        self._unanswered = unanswered

    @sending()
    def recover(self, order: RecoveryOrder) -> None:
        """Send the re-INVITE. Raises NotSentError when it cannot even be tried."""
        reachable(self._accounts, order.peer)
        leg = Leg(self._accounts[order.peer.name], order.leg, order.peer, False, self._events, self._clock)
        leg.recovering = True
        pj.prefer_in_next_offer([order.dialog.codec] if order.dialog.codec else [])
        try:
            pj.recover_next(_values(order.dialog))
        except RuntimeError as error:
            raise NotSentError(NotSent.REFUSED, str(error)) from error
        try:
            make_call(self._legs, leg, _next_hop(order.dialog), of_audio())
        finally:
            is_in_dialog = pj.has_recovered(leg.getId())
        if leg.over or not is_in_dialog:
            raise NotSentError(NotSent.REFUSED, "the dialog could not be taken up")
        take_in(self._legs, leg)
        self._clock.after(PATIENCE_S, partial(self._look, leg))

    def _look(self, leg: Leg) -> None:
        if leg.recovering and not leg.over:
            log.warning("recovery-unanswered", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
            self._unanswered(leg)


def dialog_of(leg: Leg) -> KeptDialog | None:
    """The dialog of a leg that is up, to be taken up later; None: there is none."""
    values = () if leg.over else pj.dialog_to_keep(leg.number)
    if not values:
        return None
    call_id, local_tag, remote_tag, local, remote, local_cseq, remote_cseq, target, origin, version, ours = values[
        :_ROUTES
    ]
    codecs = pj.codecs_of(leg.number)
    return KeptDialog(
        call_id=call_id,
        local_tag=local_tag,
        remote_tag=remote_tag,
        local=local,
        remote=remote,
        local_cseq=int(local_cseq),
        remote_cseq=int(remote_cseq),
        target=target,
        routes=tuple(values[_ROUTES:]),
        origin_id=int(origin),
        origin_version=int(version),
        codec=codecs[0] if codecs else "",
        call_id_is_ours=ours == _OURS,
    )


def _next_hop(dialog: KeptDialog) -> str:
    """Where the re-INVITE is sent to, by which our Contact goes: a target behind proxies may have another transport."""
    return dialog.routes[0] if dialog.routes else dialog.target


def _values(dialog: KeptDialog) -> list[str]:
    numbers = (dialog.origin_id, dialog.origin_version, int(dialog.call_id_is_ours))
    return [
        dialog.call_id, dialog.local_tag, dialog.remote_tag, dialog.local, dialog.remote, str(dialog.local_cseq),
        str(dialog.remote_cseq), dialog.target, *map(str, numbers), *dialog.routes,
    ]  # fmt: skip
