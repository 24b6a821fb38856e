# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `transfer-gateway`; the only module that prints.

What a command needs is imported when it runs, so that checking a configuration takes no SIP stack and no time.
"""

import argparse
import json
import signal
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.arguments import parser
from gateway.remote import RefusedError, RemoteError, ask, not_in_force, read_metrics

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.model import AssignedNumber
    from gateway.report.figures.reconciling import Counters

DONE, FAILED, USAGE, CONFIGURATION = 0, 1, 2, 78  # 78: EX_CONFIG of sysexits.h
REPORT_SPAN = timedelta(days=30)

FORGET_S = 70.0  # longer than the gateway itself waits for its disk


class _UsageError(Exception):
    """An argument that the parser could not know to be wrong."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 usage, 78 configuration."""
    options = parser(_COMMANDS).parse_args(arguments)
    try:
        return int(options.command(options))
    except _UsageError as error:
        _complain(str(error))
        return USAGE
    except RemoteError as error:
        _complain(str(error))
        return FAILED
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = None
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    except Exception as error:
        from gateway.config import ConfigError  # noqa: PLC0415 - the module's docstring says why

        if not isinstance(error, ConfigError):
            raise
        _complain(str(error))
        return CONFIGURATION


def _run(options: argparse.Namespace) -> int:
    # Until the gateway can reload there is nothing to reload, and nothing to end for.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from gateway.app import main as serve  # noqa: PLC0415 - brings the SIP stack

    return serve(options.config)


def _check(options: argparse.Namespace) -> int:
    from gateway.config import ConfigError, load  # noqa: PLC0415

    try:
        config = load(options.config)
    except ConfigError as error:
        for mistake in error.mistakes:
            print(mistake)
        return CONFIGURATION
    if options.tool:
        return _check_tool(config, _number(config, options.number), options.tool)
    for line in not_in_force(config.http, config.gateway.instance, config.directory):
        print(f"warning: {line}")
    destinations = sum(len(number.destinations) for number in config.numbers)
    print(
        f"{options.config}: no mistakes. Numbers: {len(config.numbers)}, destinations: {destinations}, "
        f"trunks: {', '.join(config.trunks)}, PBXs: {', '.join(config.pbxs)}"
    )
    return DONE


def _check_tool(config: "Config", number: "AssignedNumber", file: Path) -> int:
    from gateway.tool import KIND, differences, find  # noqa: PLC0415

    try:
        tools = list(find(json.loads(file.read_text(encoding="utf-8"))))
    except OSError as error:
        raise _UsageError(f"{file} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise _UsageError(f"{file} is not JSON") from None
    if not tools:
        print(f"{file}: there is no tool of type {KIND} in it")
        return FAILED
    found = [each for tool in tools for each in differences(tool, number, config.routes)]
    for where, what in found:
        print(f"{file}: {where}: {what}")
    if not found:
        print(f"{file}: offers what {number.id} has, in the same words")
    return FAILED if found else DONE


def _explain(options: argparse.Namespace) -> int:
    config = _load(options, secrets=False)
    number = _number(config, options.number)
    answer: Mapping[str, Any]
    query = {"target": options.target, "number": number.id}
    if options.at:
        query["at"] = options.at.isoformat()
    try:
        answer = ask(config.http, f"/api/explain?{urllib.parse.urlencode(query)}")
    except RemoteError as error:
        _complain(f"{error}; this answer is made from the configuration alone")
        answer = _explain_offline(config, number, options.target, options.at)
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(f"decision     {answer['decision']}")
        print(f"destination  {answer['destination'] or '-'}")
        print(f"extension    {answer['extension'] or '-'}")
        print(f"reason       {answer['reason']} ({answer['sip_code']})")
        print("trail")
        for line in answer["trail"]:
            print(f"  {line}")
        if answer.get("sentence"):
            print(f"sentence     {answer['sentence']}")
    return DONE if answer["decision"] == "accept" else FAILED


def _explain_offline(config: "Config", number: "AssignedNumber", text: str, at: datetime | None) -> Mapping[str, Any]:
    from gateway.core.gate import Situation, explain, on_the_clock  # noqa: PLC0415
    from gateway.core.model import Load, PbxState  # noqa: PLC0415

    state = PbxState(pbx=number.pbx, unknown_because="no running gateway was asked")
    now = on_the_clock(at, text, number, config.routes) if at else datetime.now(UTC)
    situation = Situation(now, Load(max_calls=config.sip.max_calls), {number.pbx: state})
    return explain(text, number, config.routes, situation)


def _tool(options: argparse.Namespace) -> int:
    from gateway.tool import made_from  # noqa: PLC0415

    number = _number(_load(options, secrets=False), options.number)
    for each in number.destinations.values():
        if each.number is None:
            _complain(f"{each.id} has no number that an assistant could be told; left out")
    made = made_from(number)
    if not made["destinations"]:
        return FAILED
    print(json.dumps(made, ensure_ascii=False, indent=2))
    return DONE


def _probe(options: argparse.Namespace) -> int:
    from gateway.probe import ProbeTarget, probe  # noqa: PLC0415

    config = _load(options)
    if options.target:
        number = _number(config, options.number)
        wanted = [ProbeTarget(number, target) for target in options.target]
    else:
        numbers = config.numbers if options.number is None else [_number(config, options.number)]
        wanted = [ProbeTarget(number, each) for number in numbers for each in number.destinations]
    result = probe(config, wanted, call=options.call)
    if result.note:
        _complain(f"{result.note}; asked instead: the {result.source}")
    fails = any(each.problem for each in result.findings)
    if options.json:
        probes = [each.document() for each in result.findings]
        print(json.dumps({"ok": not fails, "source": result.source, "probes": probes}, ensure_ascii=False))
    else:
        head = ("destination", "extension", "result", *(("call",) if options.call else ()), "PBX", "gate")
        _print_rows(head, [each.row(called=options.call) for each in result.findings])
    return FAILED if fails else DONE


def _print_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _schema(options: argparse.Namespace) -> int:
    if options.of == "event":
        from gateway.report.event import schema as made  # noqa: PLC0415
    else:
        from gateway.config import json_schema as made  # noqa: PLC0415
    print(json.dumps(made(), indent=2))
    return DONE


def _status(options: argparse.Namespace) -> int:
    answer = ask(_load(options, secrets=False).http, "/api/status")
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        _print_table(answer)
    return DONE


def _print_table(table: Mapping[str, Any], indent: str = "") -> None:
    width = max((len(key) for key in table), default=0)
    for key, value in table.items():
        if isinstance(value, dict) and value:
            print(f"{indent}{key}")
            _print_table(value, f"{indent}  ")
        else:
            print(f"{indent}{key:<{width}}  {_cell(value)}")


def _cell(value: object) -> str:
    match value:
        case True | False:
            return "yes" if value else "no"
        case None | {} | []:
            return "-"
        case list():
            return ", ".join(_cell(each) for each in value)
        case dict():
            return " ".join(f"{key}={_cell(each)}" for key, each in value.items())
    return str(value)


def _report(options: argparse.Namespace) -> int:
    from gateway.report.figures.document import as_csv, as_table  # noqa: PLC0415
    from gateway.report.figures.made import StoreError, Wanted, report  # noqa: PLC0415
    from gateway.report.figures.reconciling import reconcile  # noqa: PLC0415
    from gateway.report.figures.zones import Zones  # noqa: PLC0415

    if options.verify:
        return _verify(options.verify, options.head)
    config = _load(options, secrets=False)
    zones = Zones(config.numbers)
    now = datetime.now(UTC)
    if options.proof:
        return _prove(config, options.proof, zones.first, now)
    until = zones.read(options.until) if options.until else now
    since = zones.read(options.since) if options.since else until - REPORT_SPAN
    number = _number(config, options.number).id if options.number else None
    try:
        state = Path(config.gateway.state_dir)
        made = report(state, Wanted(since, until, number, options.by), zones.of)
        made["reconciled"] = reconciled = reconcile(state, lambda: _counters(config))
    except StoreError as error:
        _complain(str(error))
        return FAILED
    if options.format == "json":
        print(json.dumps(made, ensure_ascii=False))
    else:
        print((as_csv if options.format == "csv" else as_table)(made), end="")
    for difference in reconciled["differences"]:
        _complain(f"the counts differ: {difference}")
    return FAILED if reconciled["differences"] else DONE


def _counters(config: "Config") -> "Counters | None":
    from gateway.report.figures.reconciling import read_counters  # noqa: PLC0415

    try:
        metrics, status = read_metrics(config.http), ask(config.http, "/api/status")
        return read_counters(metrics, status) if status["instance"] == config.gateway.instance else None
    except RemoteError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise RemoteError(f"what answers is no gateway of this release ({error})") from None


def _prove(config: "Config", month: str, zone: tzinfo, now: datetime) -> int:
    from gateway.report.figures.proof import StoreError, proof  # noqa: PLC0415

    try:
        for line in proof(Path(config.gateway.state_dir), month, zone, instance=config.gateway.instance, now=now):
            print(line)
    except ValueError as error:
        raise _UsageError(f"--proof: {error}") from None
    except StoreError as error:
        _complain(str(error))
        return FAILED
    return DONE


def _verify(file: Path, heads: Sequence[tuple[int, str]]) -> int:
    from gateway.report.figures.verifying import ProofError, verify  # noqa: PLC0415

    try:
        with file.open(encoding="ascii", errors="replace") as lines:
            found = verify(lines, dict(heads))
    except OSError as error:
        raise _UsageError(f"{file} can't be read: {error.strerror}") from None
    except ProofError as error:
        print(f"{file}: {error}")
        return FAILED
    print(f"{file}: lines {found.first} to {found.last} of the chain: nothing changed, added or missing")
    for note in found.notes:
        print(f"note: {note}")
    _print_table(found.figures)
    return DONE


def _transfer(options: argparse.Namespace) -> int:
    config = _load(options)
    body = {"type": "transfer", "destination": options.destination}
    if options.message is not None:
        body["message"] = options.message
    try:
        answer = ask(config.http, f"/api/calls/{urllib.parse.quote(options.call, safe='')}/transfer", body)
    except RefusedError as error:
        if error.code != "refused":
            raise
        print(json.dumps(error.answer.get("transfer"), ensure_ascii=False))
        raise
    print(json.dumps(answer.get("transfer"), ensure_ascii=False))
    if options.message:
        _complain("nobody hears the message: give the destination an announcement, or have the platform say it before")
    return DONE


def _cancel(options: argparse.Namespace) -> int:
    which = urllib.parse.quote(options.transfer, safe="")
    answer = ask(_load(options).http, f"/api/transfers/{which}/cancel", {"type": "cancel"})
    print(json.dumps(answer.get("transfer"), ensure_ascii=False))
    return DONE


def _forget(options: argparse.Namespace) -> int:
    config = _load(options)
    answer: Mapping[str, Any]
    try:
        answer = ask(config.http, "/api/forget", {"caller": options.caller}, within_s=FORGET_S)
    except RefusedError:
        raise
    except RemoteError as error:
        answer = _forget_offline(config, options.caller, error)
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        _print_table(answer["erased"])
        for kind, count in answer["under_way"].items():
            if count:
                _complain(f"{count} {kind} of theirs under way: ask again when they are over")
        for what in answer["not_reached"]:
            _complain(f"not reached: {what}")
    return DONE


def _forget_offline(config: "Config", text: str, why: RemoteError) -> Mapping[str, Any]:
    """On the files themselves, which a gateway that runs holds locked."""
    import sqlite3  # noqa: PLC0415

    from gateway.core.numbers import caller_named  # noqa: PLC0415
    from gateway.report.erasing import forget_offline, forgotten_document, left_aside  # noqa: PLC0415
    from gateway.report.store_file import StoreError  # noqa: PLC0415

    directory = config.gateway.state_dir
    try:
        caller = caller_named(text, config.gateway.default_country)
        erased = forget_offline(directory, caller)
    except ValueError as error:
        raise _UsageError(f"{text}: {error}") from None
    except (StoreError, sqlite3.Error, OSError) as error:
        raise RemoteError(f"{why}, and its files cannot be used: {error}") from None
    return forgotten_document(erased, left_aside(directory), {})


def _load(options: argparse.Namespace, *, secrets: bool = True) -> "Config":
    from gateway.config import load  # noqa: PLC0415

    return load(options.config, secrets=secrets)


def _number(config: "Config", text: str | None) -> "AssignedNumber":
    known = ", ".join(number.id for number in config.numbers)
    if text is None:
        if len(config.numbers) == 1:
            return config.numbers[0]
        raise _UsageError(f"--number is needed, one of: {known}")
    number = config.routes.number(text)
    if number is None:
        raise _UsageError(f"--number {text} is not assigned; known are: {known}")
    return number


def _complain(text: str) -> None:
    print(f"transfer-gateway: {text}" if "\n" not in text else text, file=sys.stderr)


_COMMANDS = {
    "run": _run,
    "check": _check,
    "explain": _explain,
    "probe": _probe,
    "tool": _tool,
    "schema": _schema,
    "status": _status,
    "report": _report,
    "transfer": _transfer,
    "cancel": _cancel,
    "forget": _forget,
}


if __name__ == "__main__":
    sys.exit(main())
