# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `status`: a page about a running gateway, what is not well first, and an exit code that tells it too."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway.cli.output import ASIDE, BAD, DOUBTFUL, GOOD, PLAIN, Line, print_json, print_page
from gateway.cli.terminal import DONE, FAILED, complain, load_config
from gateway.remote import RemoteError, ask

if TYPE_CHECKING:
    from gateway.config import HttpSettings

FAILURES = 5  # that are shown
LOOKED_THROUGH = 100  # transfers
STRANGERS = 5  # likewise
LABEL_WIDTH = 14  # columns

Document: TypeAlias = Mapping[str, Any]


def status(options: argparse.Namespace) -> int:
    """How the gateway stands; FAILED where something is not well."""
    from gateway.config import ConfigError, http_settings  # noqa: PLC0415

    if options.all:
        return _all(options.config, as_json=options.json)
    try:
        return _told(load_config(options, secrets=False).http, as_json=options.json)
    except ConfigError as error:
        # It is not what runs, and hides nobody from us who does.
        try:
            code = _told(http_settings(options.config), as_json=options.json)
        except RemoteError:
            raise error from None
        complain(f"the configuration on disk has mistakes:\n{error}")
        return code or FAILED


def _told(http: "HttpSettings", *, as_json: bool) -> int:
    told = ask(http, "/api/status")
    if as_json:
        print_json(told)
    else:
        queues = ask(http, "/api/queues").get("queues", [])
        transfers = ask(http, f"/api/transfers?limit={LOOKED_THROUGH}").get("transfers", [])
        try:
            lines = list(page(told, queues, transfers))
        except (KeyError, TypeError) as error:
            raise RemoteError(f"what answers is no gateway of this release ({error})") from None
        print_page(lines, LABEL_WIDTH)
    return FAILED if told.get("problems") else DONE


def _all(directory: Path, *, as_json: bool) -> int:
    """A line for each instance, and below it what is not well there."""
    from gateway.config import http_settings, instances  # noqa: PLC0415

    found = instances(directory)
    if not found:
        complain(f"there are no instances: no {directory}/instances/NAME/gateway.toml")
        return FAILED
    told: dict[str, Document] = {}
    for each in found:
        try:
            told[each.name] = ask(http_settings(each), "/api/status")
        except RemoteError as error:
            told[each.name] = {"problems": [str(error)]}
    if as_json:
        print_json({"instances": told})
    else:
        print_page([line for name, one in told.items() for line in _in_short(name, one)], LABEL_WIDTH)
    return FAILED if any(one.get("problems") for one in told.values()) else DONE


def _in_short(name: str, told: Document) -> Iterator[Line]:
    if "instance" not in told:
        yield Line(f"{name}: {told['problems'][0]}", BAD)
        return
    yield Line(f"{verdict(told).text}; {told['calls']} calls, {told['transfers']} transfers", verdict(told).style)
    yield from (Line(f"  ! {problem}", BAD) for problem in told.get("problems", []))


def page(told: Document, queues: Sequence[Document], transfers: Sequence[Document]) -> Iterator[Line]:
    """The page, from `/api/status`, `/api/queues` and `/api/transfers`."""
    found = told.get("problems", [])
    yield verdict(told)
    yield from (Line(f"  ! {problem}", BAD) for problem in found)
    yield Line("")
    yield from _group("since", [Line(told["started_at"])])
    listening = told.get("listening", {})  # one of a release before tells less
    yield from _group(
        "listens", [Line(f"{kind.upper()} {each}") for kind, found in listening.items() for each in found]
    )
    yield from _group("trunks", standings(told["trunks"], "up"))
    yield from _group("turned away", [_stranger(each) for each in told.get("strangers", ())[:STRANGERS]])
    yield from _group("PBXs", standings(told["pbx"], "known"))
    yield from _group("broker", [broker(told["mqtt"], told["outbox"])])
    yield from _group("webhooks", standings(told["webhooks"], "up"))
    yield from _group("queues", [_queue(each) for each in queues])
    yield from _group("calls", [Line(str(told["calls"]))])
    none = [Line("none", ASIDE)]
    yield from _group("transfers", [_under_way(each) for each in transfers if each["outcome"] is None] or none)
    yield from _group("not reached", [_failure(each) for each in not_reached(transfers)[:FAILURES]] or none)


def verdict(told: Document) -> Line:
    """Which gateway it is, and whether all is well."""
    found = told.get("problems", [])
    words = "all is well" if not found else _so_many(len(found), "problem")
    return Line(f"{told['instance']} ({told['state']}, {told['version']}): {words}", BAD if found else GOOD)


def not_reached(transfers: Sequence[Document]) -> list[Document]:
    """Those that are over, and put nobody through."""
    return [each for each in transfers if each["outcome"] not in (None, "completed")]


def _group(name: str, lines: Sequence[Line]) -> Iterator[Line]:
    for line in lines:
        yield line._replace(label=name)
        name = ""


def standings(told: Mapping[str, Document], good: str) -> list[Line]:
    """Of each by its name whether it is up, or whatever `good` says instead, and why not."""
    return [_standing(name, one, good) for name, one in told.items()]


def _standing(name: str, told: Document, good: str) -> Line:
    if told["up"]:
        return Line(f"{name}: {good}", GOOD)
    if told["up"] is None:
        return Line(f"{name}: not asked", ASIDE)
    return Line(f"{name}: not {good}: {told.get('because') or 'not heard of yet'}", BAD)


def _so_many(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _stranger(told: Document) -> Line:
    requests = _so_many(told["requests"], "request")
    return Line(f"{told['source']}: {requests}, last {told['last_at']}: in no profile's addresses", DOUBTFUL)


def broker(told: Document, outbox: Document) -> Line:
    """Whether there is a connection to the broker, and what waits for it."""
    if not told["configured"]:
        return Line("none is configured", ASIDE)
    waiting = f"{outbox['events']} events wait"
    if told["connected"]:
        return Line(f"connected, {waiting}", GOOD)
    return Line(f"not connected: {told.get('because') or '-'}; {waiting}", BAD)


def _queue(told: Document) -> Line:
    if not told["known"]:
        return Line(f"{told['queue']}: unknown, {told['unknown_because']}", BAD)
    free, agents = told["available"], told["logged_in"]
    style = PLAIN if free else DOUBTFUL
    return Line(f"{told['queue']}: {free} of {agents} agents free, {told['callers']} waiting", style)


def _under_way(told: Document) -> Line:
    return Line(f"{told['transfer']}  {told['number']} to {destination(told)}, {stage(told)}")


def stage(told: Document) -> str:
    """How far a transfer under way has come."""
    return next((name for name in ("answered", "ringing", "decided") if told[f"{name}_at"]), "requested")


def destination(told: Document) -> str:
    """Where a transfer leads, or was to lead."""
    return str(told["destination"] or told["requested_target"])


def because(told: Document) -> str:
    """Why a transfer ended as it did, in words; the last line of its trail says most."""
    return str(told["fault"] or (told["trail"][-1] if told["trail"] else ""))


def _failure(told: Document) -> Line:
    """When, which one, where to and why."""
    line = f"{told['requested_at']}  {told['transfer']}  {destination(told)}: {told['outcome']}, {told['reason']}"
    why = because(told)
    return Line(f"{line} ({why})" if why else line)
