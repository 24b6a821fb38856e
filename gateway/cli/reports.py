# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `report`: figures of what was asked for, proofs of them, and whether all who count agree."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.output import BAD, DOUBTFUL, GOOD, print_json, print_table, say
from gateway.cli.terminal import DONE, FAILED, UsageError, complain, load_config, number_of
from gateway.remote import RemoteError, ask, read_metrics

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.report.figures.reconciling import Counters

REPORT_SPAN = timedelta(days=30)


def report_outcomes(options: argparse.Namespace) -> int:
    """The figures of a span, a month's proof, or what a proof is worth."""
    from gateway.report.figures.document import as_csv, as_table  # noqa: PLC0415
    from gateway.report.figures.made import StoreError, Wanted, report  # noqa: PLC0415
    from gateway.report.figures.reconciling import reconcile  # noqa: PLC0415
    from gateway.report.figures.zones import Zones  # noqa: PLC0415

    if options.verify:
        return _verify(options.verify, options.head, as_json=options.json)
    config = load_config(options, secrets=False)
    zones = Zones(config.numbers)
    now = datetime.now(UTC)
    if options.proof:
        return _prove(config, options.proof, zones.first, now)
    until = zones.read(options.until) if options.until else now
    since = zones.read(options.since) if options.since else until - REPORT_SPAN
    number = number_of(config, options.number).id if options.number else None
    try:
        state = Path(config.gateway.state_dir)
        made = report(state, Wanted(since, until, number, options.by), zones.of)
        made["reconciled"] = reconciled = reconcile(state, lambda: _counters(config))
    except StoreError as error:
        complain(str(error))
        return FAILED
    if options.json or options.format == "json":
        print_json(made)
    else:
        print((as_csv if options.format == "csv" else as_table)(made), end="")
    for difference in reconciled["differences"]:
        complain(f"the counts differ: {difference}")
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
        raise UsageError(f"--proof: {error}") from None
    except StoreError as error:
        complain(str(error))
        return FAILED
    return DONE


def _verify(file: Path, heads: Sequence[tuple[int, str]], *, as_json: bool) -> int:
    from gateway.report.figures.verifying import ProofError, verify  # noqa: PLC0415

    try:
        with file.open(encoding="ascii", errors="replace") as lines:
            found = verify(lines, dict(heads))
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}") from None
    except ProofError as error:
        if as_json:
            print_json({"ok": False, "problem": str(error)})
        else:
            say(f"{file}: {error}", BAD)
        return FAILED
    if as_json:
        span = {"first": found.first, "last": found.last}
        print_json({"ok": True, "problem": None, **span, "notes": list(found.notes), "figures": found.figures})
        return DONE
    say(f"{file}: lines {found.first} to {found.last} of the chain: nothing changed, added or missing", GOOD)
    for note in found.notes:
        say(f"note: {note}", DOUBTFUL)
    print_table(found.figures)
    return DONE
