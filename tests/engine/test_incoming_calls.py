# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call is noted as: a number that its caller withholds is not in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.caller import CallerId
from gateway.core.model import LegId, Peer, PeerKind
from gateway.core.moment import Moment
from gateway.engine.incoming_calls import assigned_to, begun
from gateway.ports import IncomingCall
from tests.config_directory import write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.keeps("16.136")
@pytest.mark.parametrize(("private", "told"), [(False, "+31612312312"), (True, None)])
def test_a_withheld_number_is_in_no_record(tmp_path: Path, private: bool, told: str | None) -> None:
    config = load(write(tmp_path))
    eve = CallerId("sip:+31612312312@pbx", "Eve")
    incoming = IncomingCall(
        LegId("in"), Peer("asterisk", PeerKind.PBX), "in@test", ("sip:+31201234567@gw",), (eve,), private=private
    )
    call = begun(config, incoming, assigned_to(config, incoming), Moment(datetime(2026, 3, 2, tzinfo=UTC), 0.0))
    assert call is not None
    assert call.caller == told
    assert call.parties[LegId("in")].user == "+31612312312"  # for P-Asserted-Identity, to who keeps it
    assert call.parties[LegId("in")].private is private
