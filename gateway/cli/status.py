# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `status`: a page about a running gateway, what is not well first, and an exit code that tells it too."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway.cli.terminal import DONE, FAILED, complain, load_config
from gateway.remote import RemoteError, ask

if TYPE_CHECKING:
    from gateway.config import HttpSettings

FAILURES = 5  # that are shown
LOOKED_THROUGH = 100  # transfers
WIDTH = 12  # of what stands before a line

Document: TypeAlias = Mapping[str, Any]


def status(options: argparse.Namespace) -> int:
    """How the gateway stands; FAILED where something is not well."""
    from gateway.config import ConfigError, http_settings  # noqa: PLC0415

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
        print(json.dumps(told, ensure_ascii=False))
    else:
        queues = ask(http, "/api/queues").get("queues", [])
        transfers = ask(http, f"/api/transfers?limit={LOOKED_THROUGH}").get("transfers", [])
        try:
            lines = list(page(told, queues, transfers))
        except (KeyError, TypeError) as error:
            raise RemoteError(f"what answers is no gateway of this release ({error})") from None
        print("\n".join(lines))
    return FAILED if told.get("problems") else DONE


def page(told: Document, queues: Sequence[Document], transfers: Sequence[Document]) -> Iterator[str]:
    """The page, from `/api/status`, `/api/queues` and `/api/transfers`."""
    found = told.get("problems", [])
    verdict = "all is well" if not found else f"{len(found)} problem{'s' if len(found) > 1 else ''}"
    yield f"{told['instance']} ({told['state']}, {told['version']}): {verdict}"
    yield from (f"  ! {problem}" for problem in found)
    yield ""
    yield from _group("since", [told["started_at"]])
    listening = told.get("listening", {})  # one of a release before tells less
    yield from _group("listens", [f"{kind.upper()} {each}" for kind, found in listening.items() for each in found])
    yield from _group("trunks", [f"{name}: {_standing(one, 'up')}" for name, one in told["trunks"].items()])
    yield from _group("PBXs", [f"{name}: {_standing(one, 'known')}" for name, one in told["pbx"].items()])
    yield from _group("broker", [_broker(told["mqtt"], told["outbox"])])
    yield from _group("webhooks", [f"{name}: {_standing(one, 'up')}" for name, one in told["webhooks"].items()])
    yield from _group("queues", [_queue(each) for each in queues])
    yield from _group("calls", [str(told["calls"])])
    yield from _group("transfers", [_under_way(each) for each in transfers if each["outcome"] is None] or ["none"])
    failed = [each for each in transfers if each["outcome"] not in (None, "completed")][:FAILURES]
    yield from _group("not reached", [_failure(each) for each in failed] or ["none"])


def _group(name: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield f"{name:<{WIDTH}}  {line}"
        name = ""


def _standing(told: Document, good: str) -> str:
    if told["up"]:
        return good
    return "not asked" if told["up"] is None else f"not {good}: {told.get('because') or 'not heard of yet'}"


def _broker(told: Document, outbox: Document) -> str:
    if not told["configured"]:
        return "none is configured"
    waiting = f"{outbox['events']} events wait"
    return f"connected, {waiting}" if told["connected"] else f"not connected: {told.get('because') or '-'}; {waiting}"


def _queue(told: Document) -> str:
    if not told["known"]:
        return f"{told['queue']}: unknown, {told['unknown_because']}"
    return f"{told['queue']}: {told['available']} of {told['logged_in']} agents free, {told['callers']} waiting"


def _under_way(told: Document) -> str:
    stage = next((name for name in ("answered", "ringing", "decided") if told[f"{name}_at"]), "requested")
    return f"{told['transfer']}  {told['number']} to {told['destination'] or told['requested_target']}, {stage}"


def _failure(told: Document) -> str:
    """When, which one, where to and why; the last line of its trail says most."""
    where = told["destination"] or told["requested_target"]
    why = told["fault"] or (told["trail"][-1] if told["trail"] else "")
    line = f"{told['requested_at']}  {told['transfer']}  {where}: {told['outcome']}, {told['reason']}"
    return f"{line} ({why})" if why else line
