# SPDX-License-Identifier: GPL-2.0-or-later
"""`init`: asks the PBX and a person, and writes the files of a gateway."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.configured import warnings_of
from gateway.cli.output import DOUBTFUL, print_json, print_rows, say
from gateway.cli.terminal import DONE, FAILED, UsageError, complain
from gateway.core.system_error import in_words

if TYPE_CHECKING:
    from gateway.probe.probing import ProbeReport
    from gateway.setting_up.asterisk_files import ManagerUser
    from gateway.setting_up.found import Found
    from gateway.setting_up.plan import Plan
    from gateway.setting_up.steps import Step

_ANSWERS = "answers"  # what the answers of a terminal are called where they are wrong


class _Terminal:
    """A `Person` at the terminal. What is asked goes to standard error, so that --json stays by itself."""

    def ask(self, question: str, proposal: str = "") -> str:
        """See Person."""
        print(f"{question}{f' [{proposal}]' if proposal else ''}: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise UsageError("the answers ended before the questions did; nothing was written")
        return line.strip() or proposal

    def ask_secret(self, question: str) -> str:
        """See Person."""
        return getpass.getpass(f"{question} (not shown): ", stream=sys.stderr)

    def say(self, text: str) -> None:
        """See Person."""
        print(text, file=sys.stderr)


def init(options: argparse.Namespace) -> int:
    """Ask, write, check and probe; tell what is left to do."""
    from gateway.setting_up.answers import read_answers  # noqa: PLC0415
    from gateway.setting_up.making import make_files  # noqa: PLC0415
    from gateway.setting_up.steps import steps  # noqa: PLC0415
    from gateway.setting_up.survey import SurveyError  # noqa: PLC0415
    from gateway.setting_up.writing import WritingError, write_all  # noqa: PLC0415

    directory: Path = options.output.absolute()
    if options.answers is None and not sys.stdin.isatty():
        raise UsageError("init asks questions, and there is no terminal; --answers FILE has the answers")
    if not options.force and (directory / "gateway.toml").exists():
        complain(
            f"{directory}/gateway.toml is there already; with --force it is made anew, and the old one kept beside"
        )
        return FAILED
    given = read_answers(options.answers) if options.answers is not None else None
    try:
        user = _manager(options, given[0].manager if given else None, asks=given is None)
        found = _survey(options, user)
        planned, hours = _planned(found, user, given, directory)
        files = make_files(planned, hours, directory)
        backups = write_all(directory, files, _check, force=options.force)
    except (SurveyError, WritingError) as error:
        complain(str(error))
        return FAILED
    tools = [name for name in files if name.startswith("assistant/")]
    left = steps(planned, directory, options.asterisk_etc, tools)
    done = _Done(directory, list(files), backups, found, planned, *_probed(directory), left)
    if options.json:
        print_json(done.document())
    else:
        done.print()
    return DONE


def _manager(options: argparse.Namespace, given: Any, *, asks: bool) -> "ManagerUser | None":
    """Who asks the PBX: as the options say, else the answers, else its manager.conf, else a person."""
    from gateway.setting_up.asterisk_files import ManagerUser, manager_user  # noqa: PLC0415
    from gateway.setting_up.questions import ask_secret  # noqa: PLC0415

    host, port = options.manager_host or "127.0.0.1", options.manager_port or 5038
    if options.manager_user:
        if options.manager_secret_file:
            try:
                secret = options.manager_secret_file.read_text(encoding="utf-8").strip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{options.manager_secret_file} can't be read: {in_words(error)}") from None
        elif asks:
            secret = ask_secret(_Terminal(), f"Secret of the manager user {options.manager_user}")
        else:
            raise UsageError("--manager-user needs --manager-secret-file where nobody can be asked")
        return ManagerUser(host, port, options.manager_user, secret)
    if given is not None:
        return ManagerUser(given.host, given.port, given.username, given.secret.get_secret_value())
    known = manager_user(options.asterisk_etc)
    if known is not None:
        return replace(known, host=options.manager_host or known.host, port=options.manager_port or known.port)
    if not asks:
        return None
    name = _Terminal().ask("Manager user (AMI) by whom the PBX may be asked what it has (empty: it is not asked)")
    return ManagerUser(host, port, name, ask_secret(_Terminal(), "Its secret")) if name else None


def _survey(options: argparse.Namespace, user: "ManagerUser | None") -> "Found":
    """What the PBX has: as it says itself, and as its files say where they can be read."""
    from gateway.setting_up import asterisk_files  # noqa: PLC0415
    from gateway.setting_up.found import Found  # noqa: PLC0415
    from gateway.setting_up.plan import is_loopback  # noqa: PLC0415
    from gateway.setting_up.survey import survey  # noqa: PLC0415

    if user is None:
        found = Found(untold={"the PBX": f"no manager user in {options.asterisk_etc}/manager.conf, and none was given"})
    else:
        found = asyncio.run(survey(user.host, user.port, user.username, user.secret))
    if user is not None and not is_loopback(user.host):
        return found  # what lies here is of another PBX
    etc = options.asterisk_etc
    untold = dict(found.untold)
    transports = found.transports or asterisk_files.transports(etc)
    if transports:
        untold.pop("transports", None)
    return replace(found, transports=transports, generated=asterisk_files.generated_by_freepbx(etc), untold=untold)


def _planned(found: "Found", user: "ManagerUser | None", given: Any, directory: Path) -> tuple["Plan", dict[str, Any]]:
    """The plan, and the hours as they were written. Where nothing was given, a person is asked."""
    from gateway.config import ConfigError  # noqa: PLC0415
    from gateway.setting_up.answers import answers_of  # noqa: PLC0415
    from gateway.setting_up.machine import address_of, address_towards, time_zone_in  # noqa: PLC0415
    from gateway.setting_up.making import make_files  # noqa: PLC0415
    from gateway.setting_up.plan import plan  # noqa: PLC0415
    from gateway.setting_up.questions import Interview  # noqa: PLC0415

    manager = (address_of(user.host), user.port) if user else ("127.0.0.1", 5038)

    def made(answers: Any) -> "Plan":
        towards = address_towards(answers.platform.addresses[0])
        return plan(found, answers, manager=manager, own_address=towards)

    def answered(table: dict[str, Any]) -> "Plan":
        mistakes: list[Any] = []
        answers = answers_of(table, _ANSWERS, Path.cwd(), mistakes)
        if answers is None or mistakes:
            raise ConfigError(mistakes)
        return made(answers)

    if given is not None:
        answers, table = given
        return made(answers), table.get("hours", {})
    person = _Terminal()
    interview = Interview(person, found, time_zone_in)
    table = interview.whole()
    proposed = answered(table)
    while True:
        whole = interview.places(table, proposed)
        try:
            planned = answered(whole)
            make_files(planned, whole.get("hours", {}), directory)
        except ConfigError as error:  # what was answered before is right by itself, and not to be asked again
            person.say(f"\n{error}")
        else:
            return planned, whole.get("hours", {})


def _check(directory: Path) -> None:
    from gateway.config import load  # noqa: PLC0415

    load(directory)


def _probed(directory: Path) -> tuple[list[str], "ProbeReport"]:
    """What `check` warns of, and what `probe` finds."""
    from gateway.config import load  # noqa: PLC0415
    from gateway.probe import ProbeTarget, probe  # noqa: PLC0415

    config = load(directory)
    wanted = [ProbeTarget(number, each) for number in config.numbers for each in number.destinations]
    return warnings_of(config), probe(config, wanted, call=False)


@dataclass(frozen=True)
class _Done:
    """What was done, and what is left, to be told."""

    directory: Path
    files: Sequence[str]
    backups: Sequence[str]
    found: "Found"
    planned: "Plan"
    warnings: Sequence[str]
    report: "ProbeReport"
    left: Sequence["Step"]

    @property
    def ready(self) -> bool:
        """Whether the PBX knows the gateway, tells it of its queues, and has every extension.

        A PBX that does not know who asks answers OPTIONS with a challenge, which alone is no problem of a destination.
        """
        told = self.report.source != "configuration"
        return told and all(
            each.problem is None and each.pbx is not None and each.pbx.code is not None and each.pbx.code < 300
            for each in self.report.findings
        )

    def document(self) -> dict[str, object]:
        """For programs."""
        return {
            "directory": str(self.directory),
            "files": list(self.files),
            "backups": list(self.backups),
            "pbx": self.planned.kind,
            "found": self.found.document(),
            "notes": list(self.planned.notes),
            "warnings": list(self.warnings),
            "ready": self.ready,
            "probes": [each.document() for each in self.report.findings],
            "left": [each.document() for each in self.left],
        }

    def print(self) -> None:
        """For people."""
        found, title = self.found, "FreePBX" if self.planned.kind == "freepbx" else "Asterisk"
        hints = len({each.place for each in found.hints})
        say(f"{title} {found.version}, queues: {len(found.queues)}, hints: {hints}, endpoints: {len(found.endpoints)}")
        for note in self.planned.notes:
            say(f"  {note}")
        print()
        say(f"Written to {self.directory}, and checked:")
        for name in self.files:
            say(f"  {name}")
        for name in self.backups:
            say(f"  {name}, as it was before")
        for line in self.warnings:
            say(f"warning: {line}", DOUBTFUL)
        print()
        rows = [each.row(called=False) for each in self.report.findings]
        print_rows(("destination", "extension", "result", "PBX", "gate"), rows)
        if not self.ready:
            print()
            say("Until the PBX has read its files, which is the next thing to do, it does not know the gateway.")
        print()
        say("Left to do:")
        for position, step in enumerate(self.left, 1):
            print()
            say(f"{position}. {step.what}")
            for command in step.commands:
                say(f"     {command}")
