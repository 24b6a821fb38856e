# SPDX-License-Identifier: GPL-2.0-or-later
"""What may stand on the command line.

examples.py   what may follow each command, and which commands a newcomer needs
forms.py      what the values of arguments look like
parsing.py    argparse, with a word on what was probably meant
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gateway import __version__
from gateway.arguments import forms
from gateway.arguments.examples import EXAMPLES, first_page, most_used
from gateway.arguments.parsing import Parser, parsed
from gateway.core.outcome import Outcome

__all__ = ["DEFAULT_DIRECTORY", "EXAMPLES", "parse", "parser"]

DEFAULT_DIRECTORY = Path("/etc/transfer-gateway")
USAGE = 2
COLORS = ("auto", "always", "never")
_TIME_HELP = (
    "at another time than now, such as 2026-12-24T18:00; without a zone, by the clock of the destination's hours"
)
_INIT_HELP = "ask the PBX what it has, and you what it cannot know; write the files of a gateway"
_IN_UTC = "such as 2026-11-01 or 2026-11-01T08:00+01:00; without a zone in UTC"
_BY_CLOCK = "such as 2026-11-01 or 2026-11-01T08:00; without a zone, by the clock of the destinations' hours"

_FORMATS = "nodes and dispatcher: for Kamailio's nodes.cfg and dispatcher.list (default: %(default)s)"

_Add = Callable[[str, str], argparse.ArgumentParser]


def parse(functions: Mapping[str, object], words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command line, of this process by default. Exits with 2 where they are wrong, or say nothing."""
    words = sys.argv[1:] if words is None else words
    made = parser(functions)
    if not words:
        print(made.format_usage(), *first_page(DEFAULT_DIRECTORY), sep="\n", file=sys.stderr)  # noqa: T201 - as argparse does
        raise SystemExit(USAGE)
    return parsed(made, words)


def parser(functions: Mapping[str, object]) -> argparse.ArgumentParser:
    """The parser of a command line; each command's function goes along as `command` in what it returns."""
    with_config, with_color = _common()
    made = Parser(
        prog="transfer-gateway",
        parents=_common(),  # of its own: parsers share what their parents have, its default as well
        description="Transfers callers from a voice assistant to the people of a company's PBX.",
        epilog=most_used(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    made.set_defaults(config=DEFAULT_DIRECTORY, color=COLORS[0], json=False)
    commands = made.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str, *parents: Parser) -> argparse.ArgumentParser:
        lines = [f"  transfer-gateway {name} {rest}".rstrip() for rest in EXAMPLES[name]]
        added = commands.add_parser(
            name,
            parents=parents,
            help=text,
            description=text,
            epilog="\n".join(["examples:", *lines]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(command=functions[name], parser=added)
        return added

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return add(name, text, with_config, with_color)

    _add_init(add("init", _INIT_HELP, with_color))
    _add_configured(command)
    _add_asking(command)
    _add_report(command("report", "tell what became of those who asked for a person, from the history"))
    _add_commands(command)
    return made


def _common() -> tuple[Parser, Parser]:
    """What every command takes: where the configuration is, and whether there are colours."""
    with_config, with_color = Parser(add_help=False), Parser(add_help=False)
    with_config.add_argument(
        "--config",
        metavar="DIR",
        type=Path,
        default=argparse.SUPPRESS,
        help=f"the configuration's directory (default: {DEFAULT_DIRECTORY})",
    )
    with_color.add_argument(
        "--color",
        choices=COLORS,
        default=argparse.SUPPRESS,
        help="auto: on a terminal, unless NO_COLOR is set or TERM is dumb (default: auto)",
    )
    return with_config, with_color


def _add_json(*commands: argparse.ArgumentParser, text: str = "as JSON") -> None:
    for each in commands:
        each.add_argument("--json", action="store_true", help=text)


def _add_number(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--number", metavar="N", help="the assigned number, or its id; may be left out where there is only one"
    )


def _add_configured(command: _Add) -> None:
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
    explain.add_argument("--at", metavar="TIME", type=forms.time, help=_TIME_HELP)
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
    schema = command("schema", "print a JSON schema")
    schema.add_argument("of", choices=("event", "config"), help="of the events, or of the configuration")
    tokens = command("cluster-tokens", "print what the Call-IDs and tags of each gateway of the cluster begin with")
    tokens.add_argument("--format", choices=("table", "nodes", "dispatcher", "json"), default="table", help=_FORMATS)
    _add_json(check, explain, probe)
    _add_json(tool, schema, text="is JSON always")
    _add_json(tokens, text="the same as --format json")


def _add_asking(command: _Add) -> None:
    status = command("status", "tell how the running gateway is")
    status.add_argument("--all", action="store_true", help="a line for each gateway of the configuration's instances")
    watch = command("watch", "show live what the running gateway does; q ends it")
    watch.add_argument(
        "--interval", metavar="S", type=forms.interval, default=2.0, help="seconds between two looks (default: 2)"
    )
    watch.add_argument("--once", action="store_true", help="look once, for scripts")
    calls = command("calls", "list the calls under way or, with a filter, those of the history too")
    transfers = command("transfers", "list the newest transfers or, with a filter, those of the history")
    for each in (calls, transfers):
        each.add_argument("--since", metavar="TIME", type=forms.time, help=f"begun at or after, {_IN_UTC}")
        each.add_argument("--until", metavar="TIME", type=forms.time, help="begun before")
        _add_filters(each, ("number", "destination", "reason", "caller"))
    transfers.add_argument("--outcome", choices=tuple(map(str, Outcome)), help="with this outcome")
    _add_filters(transfers, ("text",))
    for each in (calls, transfers):
        each.add_argument("--limit", metavar="N", type=forms.limit, help="so many at most (default: 50)")
    queues = command("queues", "list the queues, as the gate sees them")
    reload = command("reload", "have the running gateway take the configuration, and tell what it has taken")
    reload.add_argument("--pid", metavar="PID", type=forms.pid, help="by a signal to this process, without a token")
    sent = "the process was sent its signal by others: only wait for what comes of it"
    reload.add_argument("--sent", action="store_true", help=sent)
    restart = command("restart", "restart the running gateway for an upgrade, and keep its calls (recover_calls)")
    restart.add_argument("--no-wait", action="store_true", help="do not wait until the next one is there")
    why = command("why", "tell what became of one transfer, step by step")
    why.add_argument("transfer", metavar="TRANSFER", help="the transfer's id")
    why.add_argument("--messages", action="store_true", help="print each SIP message whole, too")
    _add_json(status, calls, transfers, queues, reload, restart, why)
    _add_json(watch, text="as JSON, a line for each look")


_FILTERS = {
    "number": "of an assigned number, or its id",
    "destination": "of the destination with this id",
    "reason": "that ended for this reason",
    "caller": "of the caller with this number",
    "text": "with these words in the trail",
}


def _add_filters(command: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for name in names:
        command.add_argument(f"--{name}", metavar=name[0].upper(), help=_FILTERS[name])


def _add_commands(command: _Add) -> None:
    transfer = command("transfer", "transfer a running call")
    transfer.add_argument("call", metavar="CALL", help="the call's id, as `calls` tells it")
    transfer.add_argument("destination", metavar="DESTINATION", help="a number, an alias, a SIP or TEL URI")
    transfer.add_argument("--message", metavar="TEXT", help="taken as platforms send it, and not spoken")
    call_back = command("callback", "have a destination call somebody back who has called")
    who = "a number that called in the last hour, or the id of its call, or of a transfer of that"
    call_back.add_argument("who", metavar="WHO", help=who)
    call_back.add_argument("destination", metavar="DESTINATION", help="a number, an alias, a SIP or TEL URI")
    cancel = command("cancel", "cancel a transfer that nobody has answered yet")
    cancel.add_argument("transfer", metavar="TRANSFER", help="the id of the transfer, or of its call")
    hang_up = command("hangup", "end a running call, whatever it is at")
    hang_up.add_argument("call", metavar="CALL", help="the call's id, as `calls` tells it")
    forget = command("forget", "erase a caller from all that the gateway has stored")
    forget.add_argument("caller", metavar="NUMBER", help="the caller's number, or their name where they have none")
    _add_json(transfer, call_back, cancel, hang_up, text="is JSON always")
    _add_json(forget)


def _add_init(init: argparse.ArgumentParser) -> None:
    init.add_argument(
        "--answers", metavar="FILE", type=Path, help="TOML with the answers (default: they are asked for)"
    )
    init.add_argument(
        "--output", metavar="DIR", type=Path, default=DEFAULT_DIRECTORY, help="where it writes (default: %(default)s)"
    )
    init.add_argument("--force", action="store_true", help="write over what is there, and keep that beside it")
    init.add_argument("--manager-host", metavar="HOST", help="of the PBX's manager interface (AMI)")
    init.add_argument(
        "--manager-port", metavar="PORT", type=forms.port, help="likewise (5038, where nothing else says)"
    )
    init.add_argument("--manager-user", metavar="USER", help="default: one of the PBX's manager.conf, if that is here")
    init.add_argument("--manager-secret-file", metavar="FILE", type=Path, help="holds that user's secret")
    init.add_argument(
        "--asterisk-etc",
        metavar="DIR",
        type=Path,
        default=Path("/etc/asterisk"),
        help="the PBX's configuration, which is read and never changed (default: %(default)s)",
    )
    _add_json(init)


def _add_report(report: argparse.ArgumentParser) -> None:
    report.add_argument(
        "--since", metavar="TIME", type=forms.time, help=f"asked for at or after, {_BY_CLOCK}; default: 30 days"
    )
    report.add_argument("--until", metavar="TIME", type=forms.time, help="asked for before (default: now)")
    report.add_argument("--number", metavar="N", help="of one assigned number, or its id (default: all)")
    report.add_argument("--by", choices=("destination", "hour", "reason"), help="a line for each; hour: of the day")
    report.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: %(default)s")
    _add_json(report, text="the same as --format json; with --verify its findings")
    report.add_argument("--proof", metavar="MONTH", help="print that month's lines of the chain, with its figures")
    report.add_argument("--verify", metavar="FILE", type=Path, help="recompute what --proof printed, from FILE alone")
    report.add_argument(
        "--head",
        metavar="N:HASH",
        type=forms.head,
        action="append",
        default=[],
        help="with --verify: a line of the chain as it was noted elsewhere; may be given several times",
    )
