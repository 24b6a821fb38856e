# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands about what is configured: whether it holds, what a target comes to, and what an assistant is told."""

import argparse
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.output import BAD, DOUBTFUL, GOOD, TITLE, Line, print_json, print_page, print_rows, say
from gateway.cli.terminal import CONFIGURATION, DONE, FAILED, UsageError, complain, load_config, number_of
from gateway.remote import RemoteError, ask, not_in_force

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import AssignedNumber

LABEL_WIDTH = 13  # columns
_PASSED_OVER = re.compile(r"overflow: (\S+ is refused \([a-z-]+\));")


def check(options: argparse.Namespace) -> int:
    """Whether the configuration holds, and an assistant's tool with it."""
    from gateway.config import ConfigError, load  # noqa: PLC0415

    try:
        config = load(options.config)
    except ConfigError as error:
        if options.json:
            found = [{"file": each.file, "key": each.key, "problem": each.problem} for each in error.mistakes]
            print_json({"ok": False, "mistakes": found, "warnings": []})
        else:
            for mistake in error.mistakes:
                say(mistake, BAD)
        return CONFIGURATION
    if options.tool:
        return _check_tool(config, number_of(config, options.number), options.tool, as_json=options.json)
    warnings = warnings_of(config)
    failed = options.strict and bool(warnings)
    destinations = sum(len(number.destinations) for number in config.numbers)
    if options.json:
        names = {"numbers": [each.id for each in config.numbers], "trunks": [*config.trunks], "pbxs": [*config.pbxs]}
        print_json({"ok": not failed, "mistakes": [], "warnings": warnings, **names, "destinations": destinations})
    else:
        for line in warnings:
            say(f"warning: {line}", DOUBTFUL)
        say(
            f"{options.config}: no mistakes. Numbers: {len(config.numbers)}, destinations: {destinations}, "
            f"trunks: {', '.join(config.trunks)}, PBXs: {', '.join(config.pbxs)}",
            GOOD,
        )
    return FAILED if failed else DONE


def warnings_of(config: "Config") -> list[str]:
    """What is no mistake, and hardly meant, not possible on this machine, or not in force yet."""
    from gateway.config.advice import advise  # noqa: PLC0415
    from gateway.config.host import look_around  # noqa: PLC0415

    found = [str(each) for each in dict.fromkeys((*advise(config), *look_around(config)))]
    return [*found, *not_in_force(config.http, config.gateway.instance, config.home)]


def _check_tool(config: "Config", number: "AssignedNumber", file: Path, *, as_json: bool) -> int:
    from gateway.core.assistant import TRANSFER_CALL, find  # noqa: PLC0415
    from gateway.tool import differences  # noqa: PLC0415

    try:
        tools = list(find(json.loads(file.read_text(encoding="utf-8"))))
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{file} is not JSON") from None
    found = [each for tool in tools for each in differences(tool, number, config.routes)]
    if not tools:
        found = [("the file", f"there is no tool of type {TRANSFER_CALL} in it")]
    if as_json:
        print_json({"ok": not found, "differences": [{"where": where, "what": what} for where, what in found]})
    elif not tools:
        say(f"{file}: there is no tool of type {TRANSFER_CALL} in it", BAD)
    else:
        for where, what in found:
            say(f"{file}: {where}: {what}", BAD)
    if not found and not as_json:
        say(f"{file}: offers what {number.id} has, in the same words", GOOD)
    return FAILED if found else DONE


def explain_target(options: argparse.Namespace) -> int:
    """What the gate decides about a target now, or at some other time."""
    config = load_config(options, secrets=False)
    number = number_of(config, options.number)
    answer: Mapping[str, Any]
    query = {"target": options.target, "number": number.id}
    if options.at:
        query["at"] = options.at.isoformat()
    try:
        answer = ask(config.http, f"/api/explain?{urllib.parse.urlencode(query)}")
    except RemoteError as error:
        complain(f"{error}; this answer is made from the configuration alone")
        answer = _explain_offline(config, number, options.target, options.at)
    if options.json:
        print_json(answer)
    else:
        print_page(_explanation(answer), LABEL_WIDTH)
    return DONE if answer["decision"] == "accept" else FAILED


def _explanation(answer: Mapping[str, Any]) -> Iterator[Line]:
    accepted = answer["decision"] == "accept"
    yield Line(answer["decision"], GOOD if accepted else BAD, "decision")
    yield Line(answer["destination"] or "-", label="destination")
    for passed_over in filter(None, map(_PASSED_OVER.match, answer["trail"])):
        yield Line(passed_over[1], DOUBTFUL, "overflow")
    yield Line(answer["extension"] or "-", label="extension")
    yield Line(f"{answer['reason']} ({answer['sip_code']})", label="reason")
    yield Line("trail", TITLE)
    for line in answer["trail"]:
        yield Line(f"  {line}")
    if answer.get("sentence"):
        yield Line(answer["sentence"], label="sentence")


def _explain_offline(config: "Config", number: "AssignedNumber", text: str, at: datetime | None) -> Mapping[str, Any]:
    from gateway.core.gate import Situation, explain, on_the_clock  # noqa: PLC0415
    from gateway.core.model import Load, PbxState  # noqa: PLC0415

    states = {name: PbxState(pbx=name, unknown_because="no running gateway was asked") for name in number.pbxs}
    now = on_the_clock(at, text, number, config.routes) if at else datetime.now(UTC)
    situation = Situation(now, Load(max_calls=config.sip.max_calls), states)
    return explain(text, number, config.routes, situation)


def print_tool(options: argparse.Namespace) -> int:
    """The tool that an assistant is given for a number; or a list of it and of those that ask beforehand."""
    from gateway.core.assistant import check_availability, list_destinations, transfer_call  # noqa: PLC0415

    config = load_config(options, secrets=False)
    number = number_of(config, options.number)
    for each in number.destinations.values():
        if each.number is None:
            complain(f"{each.id} has no number that an assistant could be told; left out")
    made = transfer_call(number)
    if not made["destinations"]:
        return FAILED
    if options.with_availability:
        url = _url_of_platform(config, number)
        if url is None:
            complain(
                "no public_url in [platform]: without a url the platform calls the tools at the assistant's webhook"
            )
        tools = [made, check_availability(number, url), list_destinations(url)]
        print_json(tools, indent=2)
    else:
        print_json(made, indent=2)
    return DONE


def _url_of_platform(config: "Config", number: "AssignedNumber") -> str | None:
    """Where the platform of a number reaches us; None: nobody knows."""
    public = config.platform.public_url if config.platform is not None else None
    return f"{public.rstrip('/')}/{number.trunk}" if public and config.trunks[number.trunk].platform else None


def probe_destinations(options: argparse.Namespace) -> int:
    """Whether the PBX knows the destinations, and what a call to them comes to."""
    from gateway.probe import ProbeTarget, probe  # noqa: PLC0415

    config = load_config(options)
    if options.target:
        number = number_of(config, options.number)
        wanted = [ProbeTarget(number, target) for target in options.target]
    else:
        numbers = config.numbers if options.number is None else [number_of(config, options.number)]
        wanted = [ProbeTarget(number, each) for number in numbers for each in number.destinations]
    result = probe(config, wanted, call=options.call)
    if result.note:
        complain(f"{result.note}; asked instead: the {result.source}")
    fails = any(each.problem for each in result.findings)
    if options.json:
        probes = [each.document() for each in result.findings]
        print_json({"ok": not fails, "source": result.source, "probes": probes})
    else:
        head = ("destination", "extension", "result", *(("call",) if options.call else ()), "PBX", "gate")
        print_rows(head, [each.row(called=options.call) for each in result.findings])
    return FAILED if fails else DONE


def print_schema(options: argparse.Namespace) -> int:
    """The JSON schema of the configuration, or of events."""
    if options.of == "event":
        from gateway.report.event import schema as made  # noqa: PLC0415
    else:
        from gateway.config import json_schema as made  # noqa: PLC0415
    print(json.dumps(made(), indent=2))
    return DONE
