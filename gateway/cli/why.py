# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `why`: what became of one transfer, step by step, from the gateway that runs or else from its history."""

import argparse
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway.cli.ladder import LINES, Signs, ladder, signs_for
from gateway.cli.message_words import lines_of
from gateway.cli.output import columns, print_json, say_all
from gateway.cli.terminal import DONE, load_config
from gateway.remote import RefusedError, RemoteError, ask

if TYPE_CHECKING:
    from gateway.config import Config

WIDTH = 120
"""Columns, where nobody says how wide the terminal is."""
_STEPS = {
    "requested_at": "asked for",
    "decided_at": "decided",
    "ringing_at": "rang",
    "answered_at": "answered by the PBX",
    "human_at": "answered by a person",
    "ended_at": "over",
}


def why(options: argparse.Namespace) -> int:
    """What became of a transfer."""
    config = load_config(options, secrets=False)
    told = _transfer(config, options.transfer)
    messages, because = _messages(config, options.transfer)
    if options.json:
        print_json({**told, "messages": messages})
        return DONE
    say_all(page(told))
    say_all(drawn(told, messages, because, columns() or WIDTH, signs_for(sys.stdout.encoding)))
    if options.messages and messages is not None:
        say_all(whole(messages))
    return DONE


def _messages(config: "Config", which: str) -> tuple[Mapping[str, Any] | None, str]:
    """The SIP messages, or why there are none."""
    try:
        told = ask(config.http, f"/api/transfers/{urllib.parse.quote(which, safe='')}/messages")
    except RefusedError as error:
        return None, str(error)
    except RemoteError as error:
        if config.messages.disk_mb and (found := _stored_messages(config, which)) is not None:
            return found, ""
        return None, f"a running gateway has them in its memory, and {error}"
    return told, "" if told["kept"] else str(told["because"])


def _stored_messages(config: "Config", which: str) -> Mapping[str, Any] | None:
    from gateway.call_messages import from_stored  # noqa: PLC0415
    from gateway.report.message_store import stored  # noqa: PLC0415

    found = stored(config.gateway.state_dir, which)
    return None if found is None else from_stored(found, masked=config.history.callers != "full")


def drawn(
    told: Mapping[str, Any], messages: Mapping[str, Any] | None, because: str, width: int, signs: Signs = LINES
) -> Iterator[str]:
    """The ladder, below its heading; or why there is none."""
    yield ""
    if messages is None or not messages["kept"]:
        yield f"the SIP messages are not there: {because}"
        return
    yield f"the SIP messages{', phone numbers masked' if messages['masked'] else ''}"
    yield from ladder(messages, datetime.fromisoformat(told["requested_at"]), width, signs)


def whole(messages: Mapping[str, Any]) -> Iterator[str]:
    """Each message as it was, below a line that says when it went where."""
    for message in messages["messages"]:
        yield ""
        again = ", again" if message["again"] else ""
        cut = f", cut: {message['size']} bytes on the wire" if message["cut"] else ""
        yield f"{message['at']} {message['transport']} {message['source']} -> {message['destination']}{again}{cut}"
        yield from (f"  {line}" for line in lines_of(message["text"]))


def _transfer(config: "Config", which: str) -> Mapping[str, Any]:
    """Raises RemoteError where neither the gateway nor the history knows it."""
    try:
        return ask(config.http, f"/api/transfers/{urllib.parse.quote(which, safe='')}")
    except RefusedError:
        raise
    except RemoteError as error:
        found = _stored(config, which)
        if found is None:
            raise RemoteError(f"{error}, and the history has no transfer {which}") from None
        return found


def _stored(config: "Config", which: str) -> Mapping[str, Any] | None:
    from pathlib import Path  # noqa: PLC0415

    from gateway.report.history.questions import HistoryReader  # noqa: PLC0415
    from gateway.report.history.rows import TRANSFER  # noqa: PLC0415
    from gateway.report.store_file import StoreError  # noqa: PLC0415

    reader = HistoryReader(Path(config.gateway.state_dir))
    try:
        found = reader.get(TRANSFER, which)
    except StoreError:
        return None
    finally:
        reader.close()
    return found.document if found is not None else None


def page(told: Mapping[str, Any]) -> Iterator[str]:
    """The page, from the transfer's document."""
    outcome = f"{told['outcome']}, {told['reason']} ({told['sip_code']})" if told["outcome"] else "under way"
    yield f"{told['transfer']}: {outcome}"
    yield f"  {told['requested_target']} was asked for on {told['number'] or 'no number of ours'}, by {_asked(told)}"
    if told["fault"]:
        yield f"  ! {told['fault']}"
    if told["sentence"]:
        yield f'  the caller may be told: "{told["sentence"]}"'
    yield ""
    yield from _times(told)
    yield ""
    yield "what was checked"
    yield from (f"  {line}" for line in told["trail"])
    if told["attempts"]:
        yield ""
        yield "who was tried"
        yield from (_attempt(each) for each in told["attempts"])
    yield ""
    yield "the calls, by their Call-ID"
    yield from (f"  {role:<11} {call_id}" for role, call_id in told["call_ids"].items() if call_id)


def _asked(told: Mapping[str, Any]) -> str:
    return f"command of {told['author']}" if told["entry"] == "command" else f"a {told['entry'].upper()}"


def _times(told: Mapping[str, Any]) -> Iterator[str]:
    begun = datetime.fromisoformat(told["requested_at"])
    for field, words in _STEPS.items():
        if told[field]:
            after_s = (datetime.fromisoformat(told[field]) - begun).total_seconds()
            yield f"{told[field]}  +{after_s:8.3f} s  {words}"
    if told["returned_to_transferor"]:
        yield f"{'':24}  {'':11}  the caller went back to the assistant"


def _attempt(told: Mapping[str, Any]) -> str:
    where = (
        f"{told['destination']}, {told['extension']}" if told["extension"] else f"{told['destination']}, passed over"
    )
    code = f" ({told['sip_code']})" if told["sip_code"] else ""
    return f"  {where}: {told['reason'] or 'under way'}{code}"
