# SPDX-License-Identifier: GPL-2.0-or-later
"""What documents of RFC 4235 and RFC 3863 say of an extension, and what comes of any other bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import DeviceState
from gateway.pbx.subscriptions.state_documents import MAX_BYTES, DialogStates, DocumentError, presence_state, together
from tests.support.notifier import dialog_info, pidf

NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"


def info(*dialogs: str, version: int = 0, whole: str = "full") -> bytes:
    inside = "".join(dialogs)
    return f'<dialog-info xmlns="{NAMESPACE}" version="{version}" state="{whole}">{inside}</dialog-info>'.encode()


def dialog(state: str, more: str = "", inside: str = "", name: str = "d") -> str:
    return f'<dialog id="{name}" {more}>{inside}<state>{state}</state></dialog>'


HELD = '<local><target uri="sip:6001@pbx"><param pname="+sip.rendering" pvalue="no"/></target></local>'


@pytest.mark.parametrize(
    ("document", "state"),
    [
        (info(), "idle"),
        (info(dialog("terminated")), "idle"),
        (info(dialog("early")), "ringing"),
        (info(dialog("early", 'direction="recipient"')), "ringing"),
        (info(dialog("proceeding", 'direction="initiator"')), "in-use"),
        (info(dialog("confirmed")), "in-use"),
        (info(dialog("Confirmed\n ".lower())), "in-use"),
        (info(dialog("confirmed", inside=HELD)), "on-hold"),
        (info(dialog("early", name="a"), dialog("confirmed", name="b")), "in-use"),
        (info(dialog("terminated", name="a"), dialog("early", name="b")), "ringing"),
    ],
)
def test_what_dialogs_say(document: bytes, state: str) -> None:
    dialogs = DialogStates()
    assert dialogs.take(document)
    assert dialogs.state == DeviceState(state)


def test_parts_are_put_together_and_a_lost_one_is_noticed() -> None:
    dialogs = DialogStates()
    assert dialogs.take(info(dialog("confirmed", name="a"), version=4))
    assert dialogs.take(info(dialog("early", name="b"), version=5, whole="partial"))
    assert dialogs.take(info(dialog("terminated", name="a"), version=6, whole="partial"))
    assert dialogs.state == "ringing"
    assert not dialogs.take(info(dialog("terminated", name="b"), version=8, whole="partial"))
    assert dialogs.take(info(version=9))
    assert dialogs.state == "idle"


def test_a_part_that_came_before_changes_nothing() -> None:
    dialogs = DialogStates()
    assert dialogs.take(info(dialog("confirmed"), version=4))
    assert dialogs.take(info(dialog("terminated"), version=3, whole="partial"))
    assert dialogs.state is DeviceState.IN_USE


@pytest.mark.parametrize(
    ("basic", "activity", "state"),
    [
        ("open", "", "idle"),
        ("open", "busy", "in-use"),
        ("open", "on-the-phone", "in-use"),
        ("open", "away", "idle"),
        ("closed", "", "unavailable"),
        ("closed", "away", "unavailable"),
        ("closed", "busy", "busy"),
    ],
)
def test_what_presence_says(basic: str, activity: str, state: str) -> None:
    assert presence_state(pidf("6001", basic, activity)) == DeviceState(state)


@pytest.mark.parametrize(
    ("basic", "note", "state"),
    [
        ("open", "Ready", "idle"),
        ("open", "Ringing", "ringing"),
        ("open", "On the phone", "in-use"),
        ("closed", "On the phone", "busy"),
        ("closed", "On hold", "on-hold"),
        ("closed", "Unavailable", "unavailable"),
    ],
)
def test_what_asterisk_s_notes_say(basic: str, note: str, state: str) -> None:
    assert presence_state(pidf("6001", basic, note=note)) == DeviceState(state)


@pytest.mark.parametrize(
    ("dialogs", "presence", "state"),
    [
        ("idle", "idle", "idle"),
        ("idle", "unavailable", "unavailable"),
        ("idle", None, "idle"),
        (None, "unavailable", "unavailable"),
        ("ringing", "in-use", "ringing"),
        ("in-use", "busy", "busy"),
        ("in-use", "unavailable", "in-use"),
        ("on-hold", "busy", "on-hold"),
        (None, None, None),
    ],
)
def test_what_both_say_together(dialogs: str | None, presence: str | None, state: str | None) -> None:
    found = together(DeviceState(dialogs) if dialogs else None, DeviceState(presence) if presence else None)
    assert found == (DeviceState(state) if state else None)


BOMB = b'<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY c "&a;&a;">]><dialog-info version="0" state="full">&c;</dialog-info>'
OUTSIDE = b'<!DOCTYPE b SYSTEM "file:///etc/passwd"><dialog-info version="0" state="full"/>'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no XML"),
        (b"<dialog-info", "no XML"),
        (b"\xff\xfe\x00", "no XML"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "no XML"),
        (BOMB, "document type"),
        (OUTSIDE, "document type"),
        (b"<a/>" + b" " * MAX_BYTES, "longer than"),
        (b"<a>" * 50 + b"</a>" * 50, "too many elements"),
        (b"<a>" + b"<b/>" * 5000 + b"</a>", "too many elements"),
        (b"<presence/>", "is a presence"),
        (info().replace(b'"full"', b'"some"'), "no version or state"),
        (info().replace(b'version="0"', b'version="-1"'), "no version or state"),
        (info(dialog("asleep")), "asleep"),
        (info(dialog("")), "in the state"),
    ],
)
def test_what_is_no_dialog_info_says_nothing(body: bytes, why: str) -> None:
    dialogs = DialogStates()
    with pytest.raises(DocumentError, match=why):
        dialogs.take(body)


@pytest.mark.parametrize("body", [b"<presence/>", pidf("6001", "ajar"), dialog_info("6001", "early", 0), BOMB])
def test_what_is_no_presence_says_nothing(body: bytes) -> None:
    with pytest.raises(DocumentError):
        presence_state(body)


PIECES = st.sampled_from(
    [b"<dialog-info version='1' state='full'>", b"<dialog id='a'>", b"<state>early</state>", b"</dialog>", b"<basic>",
     b"</dialog-info>", b"<presence>", b"<tuple>", b"<!DOCTYPE a>", b"&#0;", b"&x;", b"\xc3", b"<![CDATA[", b"<?xml?>"]
)  # fmt: skip


@given(st.one_of(st.binary(), st.lists(PIECES).map(b"".join)))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    for read in (DialogStates().take, presence_state):
        with suppress(DocumentError):
            assert read(body) in {True, False, *DeviceState}
