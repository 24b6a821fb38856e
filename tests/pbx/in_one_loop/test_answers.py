# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has answered, as an Asterisk's events tell it, or as it is asked: played against a scripted manager interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.core.model import AnsweredBy
from gateway.pbx.asterisk import answers
from tests.pbx.fake_ami import FakeAmi, caller, changed, dial, error, rings_in
from tests.pbx.running_ami import known

if TYPE_CHECKING:
    from gateway.pbx.asterisk import AmiSource
    from tests.pbx.fake_ami import Listener

OURS = "abc@127.0.0.2"
PHONE, LINE = "PJSIP/6001-00000002", "PJSIP/provider-00000003"
LOCAL = "Local/6001@phones-00000001;1"


@pytest.fixture(autouse=True)
def our_call(pbx: FakeAmi) -> None:
    """The channel of our call; what it has come to is for a test to say."""
    pbx.call_ids["PJSIP/gw-1"] = OURS
    pbx.applications["PJSIP/gw-1"] = "Dial"


async def heard(pbx: FakeAmi, listener: Listener) -> None:
    """All events that were sent have been taken."""
    paused = next((s.queues["sales"].paused for s in reversed(listener.states) if "sales" in s.queues), 0)
    pbx.send(changed("QueueMemberPause", "PJSIP/6001", paused=1 - paused))
    await listener.until(lambda: listener.states[-1].queues["sales"].paused == 1 - paused)


async def test_a_phone_is_told_of_by_the_dialog_s_call_id(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener) as source:
        pbx.send(rings_in("1"), dial("DialBegin", PHONE, DialString="6001"))
        asked = await pbx.asked("Getvar")
        assert (asked["Channel"], asked["Variable"]) == ("PJSIP/gw-1", "CHANNEL(pjsip,call-id)")
        pbx.send(dial("DialEnd", PHONE, DialStatus="ANSWER"))
        await listener.until(lambda: bool(listener.answered))
        assert listener.answered == [(OURS, AnsweredBy.EXTENSION, "PJSIP/6001")]
        assert source.identify(OURS)
        await listener.until(lambda: len(listener.answered) > 1)
        assert len(set(listener.answered)) == 1
        assert pbx.count("Getvar") == 1


async def test_a_phone_that_has_picked_up_and_not_accepted_is_not_who_answers(pbx: FakeAmi, listener: Listener) -> None:
    """As with a key that is to be pressed: the dialplan goes on to voicemail."""
    async with known(pbx, listener) as source:
        pbx.send(rings_in("1"), dial("DialEnd", PHONE, DialStatus="ANSWER"))
        await listener.until(lambda: bool(listener.answered))
        pbx.applications["PJSIP/gw-1"] = "VoiceMail"
        assert source.identify(OURS)
        await listener.until(lambda: len(listener.answered) > 1)
        assert listener.answered[-1] == (OURS, AnsweredBy.VOICEMAIL, "VoiceMail")


@pytest.mark.parametrize("status", ["BUSY", "NOANSWER", "CANCEL", "CHANUNAVAIL"])
async def test_a_phone_that_does_not_answer_is_nobody(pbx: FakeAmi, listener: Listener, status: str) -> None:
    async with known(pbx, listener):
        pbx.send(rings_in("1"), dial("DialEnd", PHONE, DialStatus=status))
        await heard(pbx, listener)
        assert listener.answered == []


@pytest.mark.parametrize(
    ("to", "dialled", "by"),
    [
        (PHONE, "6001", AnsweredBy.EXTENSION),
        (PHONE, "6001/sip:6001-0x5555@192.0.2.7:5060", AnsweredBy.EXTENSION),
        (LINE, "0612345678@provider", AnsweredBy.OUTSIDE),
        ("PJSIP/mobiles-00000009", "0612345678", AnsweredBy.OUTSIDE),
    ],
    ids=["by its name", "by its contact", "a number at an endpoint", "a line that is configured"],
)
async def test_a_line_out_is_no_phone(pbx: FakeAmi, listener: Listener, to: str, dialled: str, by: AnsweredBy) -> None:
    async with known(pbx, listener, outside_lines=frozenset({"PJSIP/mobiles"})):
        pbx.send(rings_in("1"), dial("DialBegin", to, DialString=dialled), dial("DialEnd", to, DialStatus="ANSWER"))
        await listener.until(lambda: bool(listener.answered))
        assert listener.answered == [(OURS, by, to.rpartition("-")[0])]


async def test_a_local_channel_is_whom_it_leads_to(pbx: FakeAmi, listener: Listener) -> None:
    inner = {"unique": "3", "channel": LOCAL.replace(";1", ";2")}
    async with known(pbx, listener):
        pbx.send(
            rings_in("1"),
            dial("DialEnd", PHONE, DialStatus="ANSWER", **inner),
            dial("DialEnd", LOCAL, DialStatus="ANSWER"),
        )
        await listener.until(lambda: bool(listener.answered))
        assert listener.answered == [(OURS, AnsweredBy.EXTENSION, "PJSIP/6001")]


async def test_a_local_channel_that_leads_to_voicemail(pbx: FakeAmi, listener: Listener) -> None:
    pbx.applications[LOCAL.replace(";1", ";2")] = "VoiceMail"
    async with known(pbx, listener) as source:
        pbx.send(rings_in("1"), dial("DialEnd", LOCAL, DialStatus="ANSWER"))
        await heard(pbx, listener)
        assert listener.answered == []
        assert source.identify(OURS)
        await listener.until(lambda: bool(listener.answered))
        assert listener.answered == [(OURS, AnsweredBy.VOICEMAIL, "VoiceMail")]


@pytest.mark.parametrize(
    ("application", "by"),
    [
        ("VoiceMail", AnsweredBy.VOICEMAIL),
        ("VoiceMailMain", AnsweredBy.VOICEMAIL),
        ("MinivmRecord", AnsweredBy.VOICEMAIL),
        ("Playback", AnsweredBy.APPLICATION),
        ("ConfBridge", AnsweredBy.APPLICATION),
        ("Queue", None),
        ("FollowMe", None),
    ],
)
async def test_a_call_that_an_application_answers(
    pbx: FakeAmi, listener: Listener, application: str, by: AnsweredBy | None
) -> None:
    pbx.applications["PJSIP/gw-1"] = application
    async with known(pbx, listener) as source:
        assert source.identify(OURS)  # the answer is there before anything is known of the channel
        pbx.send(rings_in("1"))
        await listener.until(lambda: bool(listener.answered))
        assert listener.answered == [(OURS, by, application)]


async def test_what_ends_at_once_is_not_what_has_answered(pbx: FakeAmi, listener: Listener) -> None:
    pbx.applications["PJSIP/gw-1"] = "Answer"
    async with known(pbx, listener) as source:
        pbx.send(rings_in("1"))
        assert source.identify(OURS)
        await pbx.asked("Status", 2)
        assert listener.answered == []
        pbx.applications["PJSIP/gw-1"] = "VoiceMail"
        await listener.until(lambda: bool(listener.answered))
        assert listener.answered == [(OURS, AnsweredBy.VOICEMAIL, "VoiceMail")]


async def test_a_name_of_an_application_is_letters_alone(pbx: FakeAmi, listener: Listener) -> None:
    pbx.applications["PJSIP/gw-1"] = "Play\x1b[31m<b>" + "k" * 1000
    async with known(pbx, listener) as source:
        pbx.send(rings_in("1"))
        source.identify(OURS)
        await listener.until(lambda: bool(listener.answered))
        ((_, by, name),) = listener.answered
        assert by is AnsweredBy.APPLICATION
        assert name.isalnum()
        assert len(name) <= 40


async def test_of_a_queue_s_caller_the_queue_tells(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
        pbx.send(
            rings_in("1"),
            caller("QueueCallerJoin", "1", Count="1"),
            dial("DialEnd", PHONE, DialStatus="ANSWER"),
            caller("QueueCallerLeave", "1", Count="0"),
            caller("AgentConnect", "1", Interface="PJSIP/6001"),
        )
        await listener.until(lambda: bool(listener.connected))
        assert listener.answered == []
        assert pbx.count("Getvar") == 1  # for both


async def test_a_caller_who_has_left_a_queue_may_still_be_answered(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
        pbx.send(
            rings_in("1"),
            caller("QueueCallerJoin", "1", Count="1"),
            caller("QueueCallerLeave", "1", Count="0"),
            dial("DialEnd", PHONE, DialStatus="ANSWER"),
        )
        await listener.until(lambda: bool(listener.answered))
        assert listener.answered == [(OURS, AnsweredBy.EXTENSION, "PJSIP/6001")]


@pytest.mark.keeps("21.46")
async def test_a_caller_who_leaves_a_queue_for_voicemail_is_told_of(pbx: FakeAmi, listener: Listener) -> None:
    pbx.applications["PJSIP/gw-1"] = "Queue"
    async with known(pbx, listener) as source:
        pbx.send(rings_in("1"), caller("QueueCallerJoin", "1", Count="1"))
        assert source.identify(OURS)
        await listener.until(lambda: bool(listener.answered))
        pbx.applications["PJSIP/gw-1"] = "Playback"
        pbx.send(caller("QueueCallerLeave", "1", Count="0"))
        await pbx.asked("Status", 3)
        assert listener.answered == [(OURS, None, "Queue")]  # the announcement that nobody is there
        pbx.applications["PJSIP/gw-1"] = "VoiceMail"
        await listener.until(lambda: len(listener.answered) > 1)
        assert listener.answered[-1] == (OURS, AnsweredBy.VOICEMAIL, "VoiceMail")


@pytest.mark.parametrize("asked", [True, False], ids=["to an agent", "of whom nobody has asked"])
async def test_a_caller_who_leaves_a_queue_is_not_followed(pbx: FakeAmi, listener: Listener, asked: bool) -> None:
    pbx.applications["PJSIP/gw-1"] = "Queue"
    async with known(pbx, listener) as source:
        pbx.send(rings_in("1"), caller("QueueCallerJoin", "1", Count="1"))
        if asked:
            assert source.identify(OURS)
            await listener.until(lambda: bool(listener.answered))
        before = pbx.count("Status")
        pbx.send(caller("QueueCallerLeave", "1", Count="0"))
        if asked:
            await pbx.asked("Status", before + 1)  # the queue's still: they talk
        await heard(pbx, listener)
        assert pbx.count("Status") == before + asked


async def test_a_call_that_began_unseen_is_asked_about_when_it_is_answered(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
        pbx.send(dial("DialEnd", PHONE, DialStatus="ANSWER"))
        await listener.until(lambda: bool(listener.answered))
        pbx.call_ids["8"] = "other@127.0.0.2"
        pbx.send(dial("DialEnd", PHONE, root="8", unique="9", channel=LOCAL, DialStatus="ANSWER"))
        await listener.until(lambda: len(listener.answered) > 1)
        assert [call_id for call_id, *_ in listener.answered] == [OURS, "other@127.0.0.2"]


async def test_a_channel_of_another_kind_is_not_asked_for_what_it_has_not(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener):
        pbx.send(
            rings_in("5", "DAHDI/1-1"),
            dial("DialEnd", PHONE, root="5", unique="5", channel="DAHDI/1-1", DialStatus="ANSWER"),
            rings_in("6", "PJSIP/6003-00000006", ChannelState="0", Linkedid="5"),
            dial("DialEnd", PHONE, root="5", unique="7", channel=LOCAL, DialStatus="ANSWER"),
        )
        await heard(pbx, listener)
        assert pbx.count("Getvar") == 0


async def test_a_pbx_that_never_tells_who_answers_is_waited_for_once(
    pbx: FakeAmi, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LOOK_S", 0.1)
    async with known(pbx, listener) as source:
        with capture_logs() as logs:
            pbx.send(rings_in("1"))
            assert source.identify(OURS)
            await listener.until(lambda: listener.unknown_answerers == [OURS])
            assert not source.identify(OURS)
        told = [line for line in logs if line["event"] == "ami-tells-no-events"]
        assert [line["missing_right"] for line in told] == ["eventfilter: DialEnd"]
        pbx.send(dial("DialEnd", PHONE, DialStatus="ANSWER"))
        await listener.until(lambda: bool(listener.answered))
        assert source.identify(OURS)  # it does tell


async def test_a_pbx_that_tells_of_no_call_at_all_is_not_waited_for(
    pbx: FakeAmi, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LOOK_S", 60)
    async with known(pbx, listener) as source:
        assert source.identify(OURS)
        await listener.until(lambda: listener.unknown_answerers == [OURS])
        assert not source.identify(OURS)


async def test_a_refusal_to_say_what_has_answered_is_told_once(pbx: FakeAmi, listener: Listener) -> None:
    pbx.script["Status"] = [error("Permission denied")]
    async with known(pbx, listener) as source:
        with capture_logs() as logs:
            pbx.send(rings_in("1"))
            for times in (1, 2):
                source.identify(OURS)
                await listener.until(lambda: listener.unknown_answerers == [OURS] * times)  # noqa: B023
                assert pbx.count("Status") == times
        assert [line["action"] for line in logs if line["event"] == "ami-action-refused"] == ["Status"]
        assert listener.answered == []


async def test_no_more_calls_are_remembered_than_any_pbx_has(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener) as source:
        for n in range(answers.MAX_CALLS + 50):
            pbx.call_ids[f"PJSIP/gw-{n}"] = f"{n}@127.0.0.2"
            pbx.send(rings_in(str(n), f"PJSIP/gw-{n}"))
            if n % 50 == 0:
                await pbx.asked("Getvar", n + 1)
                await heard(pbx, listener)
        await heard(pbx, listener)
        ours = _answers(source)
        assert len(ours._calls) == answers.MAX_CALLS
        assert len(ours._unique) <= answers.MAX_CALLS
        pbx.send(*({"Event": "Hangup", "Uniqueid": str(n)} for n in range(answers.MAX_CALLS + 50)))
        await heard(pbx, listener)
        assert not ours._calls
        assert not ours._unique


async def test_nobody_is_asked_while_no_pbx_is_there(pbx: FakeAmi, listener: Listener) -> None:
    async with known(pbx, listener) as source:
        pass
    assert not source.identify(OURS)


def _answers(source: AmiSource) -> answers.Answers:
    assert source._answers is not None
    return source._answers
