# SPDX-License-Identifier: GPL-2.0-or-later
"""What may stand on the command line."""

import argparse
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from gateway import __version__

DEFAULT_DIRECTORY = Path("/etc/transfer-gateway")
TIME_HELP = (
    "at another time than now, such as 2026-12-24T18:00; without a zone, by the clock of the destination's hours"
)
INIT_HELP = "ask the PBX what it has, and you what it cannot know; write the files of a gateway"
_HASH = re.compile("[0-9a-f]{64}")  # SHA-256
YEARS = range(1970, 9999)
"""Those in which every zone can tell the time."""
EXAMPLES = {
    "run": ("", "--config ./configuration"),
    "check": ("", "--strict", "--tool assistant.json --number main-line"),
    "explain": ("+31612345678 --number main-line", "sales --at 2026-12-24T18:00"),
    "tool": ("--number main-line",),
    "probe": ("", "sales --call"),
    "schema": ("event", "config"),
    "status": ("", "--json"),
    "reload": ("", "--json"),
    "report": ("", "--since 2026-11-01 --by destination", "--proof 2026-11 > november", "--verify november"),
    "transfer": ("01J8Z3K4M5N6P7Q8R9S0T1V2W3 sales",),
    "cancel": ("01J8Z3K4M5N6P7Q8R9S0T1V2W3",),
    "hangup": ("01J8Z3K4M5N6P7Q8R9S0T1V2W3",),
    "forget": ("+31612345678",),
    "init": ("", "--answers answers.toml --output ./configuration"),
    "why": ("01J8Z3K4M5N6P7Q8R9S0T1V2W3",),
}
"""What may follow each command."""


def parser(functions: Mapping[str, object]) -> argparse.ArgumentParser:
    """The parser of a command line; each command's function goes along as `command` in what it returns."""
    made = argparse.ArgumentParser(
        prog="transfer-gateway",
        description="Transfers callers from a voice assistant to the people of a company's PBX.",
    )
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        metavar="DIR",
        type=Path,
        default=DEFAULT_DIRECTORY,
        help="the configuration's directory (default: %(default)s)",
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = _add_command(commands, name, text, parents=[common])
        added.set_defaults(command=functions[name])
        return added

    _add_init(_add_command(commands, "init", INIT_HELP), functions["init"])
    command("run", "run the gateway until it is stopped")
    check = command("check", "print every mistake in the configuration")
    check.add_argument("--strict", action="store_true", help="end with 1 where there are warnings")
    check.add_argument("--tool", metavar="FILE", type=Path, help="compare an assistant's JSON with the destinations")
    _add_number(check)
    explain = command("explain", "tell where a transfer would go, and why")
    explain.add_argument(
        "target", metavar="TARGET", help="what would be asked for: a number, an alias, a SIP or TEL URI"
    )
    _add_number(explain)
    explain.add_argument("--at", metavar="TIME", type=_time, help=TIME_HELP)
    explain.add_argument("--json", action="store_true", help="as JSON")
    tool = command("tool", "print the assistant's transfer_call tool, made from the destinations")
    _add_number(tool)
    tool.add_argument(
        "--with-availability", action="store_true", help="with the tools that ask beforehand, as a list of tools"
    )
    probe = command("probe", "find out whether each destination could take a caller now")
    probe.add_argument(
        "target", metavar="DEST", nargs="*", help="a destination (default: all), as it would be asked for"
    )
    _add_number(probe)
    probe.add_argument("--call", action="store_true", help="call each for a moment, through the running gateway")
    probe.add_argument("--json", action="store_true", help="as JSON")
    schema = command("schema", "print a JSON schema")
    schema.add_argument("of", choices=("event", "config"), help="of the events, or of the configuration")
    status = command("status", "tell how the running gateway is")
    status.add_argument("--json", action="store_true", help="as JSON")
    reload = command("reload", "have the running gateway take the configuration, and tell what it has taken")
    reload.add_argument("--pid", metavar="PID", type=_pid, help="by a signal to this process, without a token")
    reload.add_argument("--json", action="store_true", help="as JSON")
    _add_report(command("report", "tell what became of those who asked for a person, from the history"))
    why = command("why", "tell what became of one transfer, step by step")
    why.add_argument("transfer", metavar="TRANSFER", help="the transfer's id")
    why.add_argument("--json", action="store_true", help="as JSON")
    transfer = command("transfer", "transfer a running call")
    transfer.add_argument("call", metavar="CALL", help="the call's id, as /api/calls tells it")
    transfer.add_argument("destination", metavar="DESTINATION", help="a number, an alias, a SIP or TEL URI")
    transfer.add_argument("--message", metavar="TEXT", help="taken as platforms send it, and not spoken")
    cancel = command("cancel", "cancel a transfer that nobody has answered yet")
    cancel.add_argument("transfer", metavar="TRANSFER", help="the id of the transfer, or of its call")
    hang_up = command("hangup", "end a running call, whatever it is at")
    hang_up.add_argument("call", metavar="CALL", help="the call's id, as /api/calls tells it")
    forget = command("forget", "erase a caller from all that the gateway has stored")
    forget.add_argument("caller", metavar="NUMBER", help="the caller's number, or their name where they have none")
    forget.add_argument("--json", action="store_true", help="as JSON")
    return made


def _add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    lines = [f"  transfer-gateway {name} {rest}".rstrip() for rest in EXAMPLES[name]]
    return commands.add_parser(
        name,
        parents=parents,
        help=text,
        description=text,
        epilog="\n".join(["examples:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_init(init: argparse.ArgumentParser, function: object) -> None:
    init.set_defaults(command=function)
    init.add_argument(
        "--answers", metavar="FILE", type=Path, help="TOML with the answers (default: they are asked for)"
    )
    init.add_argument(
        "--output", metavar="DIR", type=Path, default=DEFAULT_DIRECTORY, help="where it writes (default: %(default)s)"
    )
    init.add_argument("--force", action="store_true", help="write over what is there, and keep that beside it")
    init.add_argument("--manager-host", metavar="HOST", help="of the PBX's manager interface (AMI)")
    init.add_argument("--manager-port", metavar="PORT", type=_port, help="likewise (5038, where nothing else says)")
    init.add_argument("--manager-user", metavar="USER", help="default: one of the PBX's manager.conf, if that is here")
    init.add_argument("--manager-secret-file", metavar="FILE", type=Path, help="holds that user's secret")
    init.add_argument(
        "--asterisk-etc",
        metavar="DIR",
        type=Path,
        default=Path("/etc/asterisk"),
        help="the PBX's configuration, which is read and never changed (default: %(default)s)",
    )
    init.add_argument("--json", action="store_true", help="as JSON")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536):
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return int(text)


def _add_report(report: argparse.ArgumentParser) -> None:
    by_clock = "such as 2026-11-01 or 2026-11-01T08:00; without a zone, by the clock of the destinations' hours"
    report.add_argument(
        "--since", metavar="TIME", type=_time, help=f"asked for at or after, {by_clock}; default: 30 days"
    )
    report.add_argument("--until", metavar="TIME", type=_time, help="asked for before (default: now)")
    report.add_argument("--number", metavar="N", help="of one assigned number, or its id (default: all)")
    report.add_argument("--by", choices=("destination", "hour", "reason"), help="a line for each; hour: of the day")
    report.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: %(default)s")
    report.add_argument("--proof", metavar="MONTH", help="print that month's lines of the chain, with its figures")
    report.add_argument("--verify", metavar="FILE", type=Path, help="recompute what --proof printed, from FILE alone")
    report.add_argument(
        "--head",
        metavar="N:HASH",
        type=_head,
        action="append",
        default=[],
        help="with --verify: a line of the chain as it was noted elsewhere; may be given several times",
    )


def _pid(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text} is no process that could be a gateway")
    return int(text)


def _head(text: str) -> tuple[int, str]:
    n, _, noted = text.partition(":")
    if not n.isascii() or not n.isdigit() or not _HASH.fullmatch(noted):
        raise argparse.ArgumentTypeError(f"{text} is no number and hash, as chain-head in the log has them: N:HASH")
    return int(n), noted


def _add_number(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--number", metavar="N", help="the assigned number, or its id; may be left out where there is only one"
    )


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.year not in YEARS:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 2026-12-24T18:00 or 2026-12-24T17:00Z")
    return time
