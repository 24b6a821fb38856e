# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands `calls`, `transfers` and `queues`: what `/api/` has of each, as a table or as it is."""

import argparse
import urllib.parse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway.cli.output import ASIDE, print_json, print_rows, say
from gateway.cli.status import because, destination, stage
from gateway.cli.terminal import DONE, complain, load_config
from gateway.remote import RemoteError, ask

if TYPE_CHECKING:
    from collections.abc import Callable

Document: TypeAlias = Mapping[str, Any]

_FILTERS = ("number", "destination", "reason", "caller", "outcome", "text", "since", "until")
NEWEST = 50
CALL_HEAD = ("call", "number", "caller", "state", "seconds", "legs", "audio")
QUEUE_HEAD = ("queue", "PBX", "free", "agents", "busy", "paused", "waiting", "longest", "expected")
TRANSFER_HEAD = ("requested", "transfer", "number", "to", "outcome", "reason", "why")


def calls(options: argparse.Namespace) -> int:
    """The calls under way or, with a filter, those that are over too."""
    return _list(options, "calls", CALL_HEAD, call_row)


def transfers(options: argparse.Namespace) -> int:
    """The newest transfers or, with a filter, those of the history."""
    return _list(options, "transfers", TRANSFER_HEAD, transfer_row)


def queues(options: argparse.Namespace) -> int:
    """The queues that destinations name."""
    return _list(options, "queues", QUEUE_HEAD, queue_row)


def _list(
    options: argparse.Namespace, what: str, head: Sequence[str], row: "Callable[[Document], Sequence[str]]"
) -> int:
    query = _query(options, what)
    path = f"/api/{what}?{urllib.parse.urlencode(query)}" if query else f"/api/{what}"
    told = ask(load_config(options, secrets=False).http, path)
    found = told.get(what)
    if not isinstance(found, list):
        raise RemoteError("what answers is no gateway of this release")
    if options.json:
        print_json(told)
        return DONE
    try:
        rows = [row(each) for each in found]
    except (KeyError, TypeError, ValueError) as error:
        raise RemoteError(f"what answers is no gateway of this release ({error})") from None
    if rows:
        print_rows(head, rows)
    else:
        say("none", ASIDE)
    if told.get("next"):
        complain(f"these are the newest {len(rows)}: there are more; --limit, --since and --until choose", ASIDE)
    return DONE


def _query(options: argparse.Namespace, what: str) -> dict[str, str]:
    if what == "queues":
        return {}
    given = {name: getattr(options, name, None) for name in _FILTERS}
    query = {name: str(value) for name, value in given.items() if value is not None}
    for name in ("since", "until"):
        if isinstance(time := given[name], datetime):
            query[name] = (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
    if query or options.limit is not None or what == "transfers":
        query["limit"] = str(options.limit or NEWEST)
    return query


def call_row(told: Document) -> tuple[str, ...]:
    """A call, under way or over."""
    legs = told.get("legs") or []
    audio = told.get("audio")
    lasts = told.get("duration_s")
    return (
        told["call"],
        told["number"] or "-",
        told["caller"] or "-",
        told.get("state") or (f"over, {told['reason']}" if told["reason"] else "under way"),
        _seconds(lasts if lasts is not None else told["talk_s"]),
        " + ".join(f"{leg['peer']} {leg['codec'] or leg['state']}" for leg in legs) or "-",
        audio["path"] if audio else "-",
    )


def transfer_row(told: Document) -> tuple[str, ...]:
    """A transfer, under way or over."""
    outcome = told["outcome"]
    return (
        told["requested_at"],
        told["transfer"],
        told["number"] or "-",
        destination(told),
        outcome or stage(told),
        told["reason"] or "-",
        because(told) if outcome not in (None, "completed") else "",
    )


def queue_row(told: Document) -> tuple[str, ...]:
    """A queue, as the gate sees it."""
    if not told["known"]:
        return told["queue"], told["pbx"], *["-"] * 6, f"unknown: {told['unknown_because']}"
    counts = (told[name] for name in ("available", "logged_in", "busy", "paused", "callers"))
    times = (_seconds(told[name]) for name in ("longest_wait_s", "expected_wait_s"))
    return told["queue"], told["pbx"], *map(_count, counts), *times


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"
