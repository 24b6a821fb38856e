# SPDX-License-Identifier: GPL-2.0-or-later
"""The alerts: one for each line of "What to alert on", tried by promtool, with a section of the runbook for each."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli import main
from gateway.report.history.metrics import HistoryMetrics
from gateway.report.labels import Plan
from gateway.report.metrics import Metrics
from gateway.report.platform_metrics import PlatformMetrics
from gateway.report.webhook_metrics import WebhookMetrics
from tests.support.fetch import programs

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
TRIED = sorted(RULES.parent.glob("rules-test*.yaml"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()

groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
rules = [rule for group in groups for rule in group["rules"]]
alerts = [rule for rule in rules if "alert" in rule]
names = {rule["alert"] for rule in alerts}


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def promtool(*arguments: str) -> tuple[int, str]:
    command = [*programs().command("usr/bin/promtool"), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=110)
    return done.returncode, done.stdout + done.stderr


def test_each_line_of_what_to_alert_on_has_its_alert_and_each_alert_its_line() -> None:
    lines = [line for line in section(OPERATIONS, "What to alert on").splitlines() if line.startswith("| `")]
    linked = [re.findall(r"\[(\w+)\]\(runbook\.md#(\w+)\)", line) for line in lines]
    assert [line for line, found in zip(lines, linked, strict=True) if len(found) != 1] == []
    assert sorted(name for [(name, _)] in linked) == sorted(names)
    assert all(anchor == name.lower() for [(name, anchor)] in linked)


def test_the_runbook_has_a_section_for_each_alert_with_steps_and_an_end() -> None:
    assert set(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == names
    for name in names:
        steps = section(RUNBOOK, name)
        assert "\n```sh\n" in steps, name
        assert re.search(r"^Over ", steps, re.MULTILINE), name


@pytest.mark.parametrize("alert", alerts, ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"TransferGateway([A-Z][a-z]+)+", alert["alert"])
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
    assert alert["annotations"]["summary"].endswith(".")


def test_every_metric_in_a_rule_is_exported_or_recorded() -> None:
    metrics = Metrics(version="0", pjsip="0")
    metrics.configure(Plan({"main-line": ("sales",)}, {"asterisk": ("sales",)}, ("hms",)))
    metrics.certificates_end({"sip.tls_certificate": datetime.now(UTC)})
    WebhookMetrics(metrics.registry).configured(["crm"])
    HistoryMetrics(metrics.registry)
    PlatformMetrics(metrics.registry).configure(["hms"])
    exported = {line.split("{")[0].split()[0] for line in metrics.render()[0].decode().splitlines() if line[0] != "#"}
    recorded = {rule["record"] for rule in rules if "record" in rule}
    named = {name for rule in rules for name in re.findall(r"\b(?:\w+:)?transfer_gateway_\w+(?::\w+)?", rule["expr"])}
    assert len(named) > 20
    assert named - exported - recorded == set()


def test_every_alert_is_tried_firing() -> None:
    tried = set(re.findall(r'alertname="(\w+)",alertstate="firing"', "".join(path.read_text() for path in TRIED)))
    assert tried == names


def words(step: str) -> set[str]:
    """The events that a `grep -E` looks for."""
    [found] = re.findall(r"\(([\w|]+)\)", step)
    return set(found.split("|"))


def test_every_step_of_the_runbook_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = set(re.findall(r"^    ([a-z]+) +\w", capsys.readouterr().out, re.MULTILINE))
    slugs = set(re.findall(r"^\| `([a-z-]+)` \| ", OPERATIONS, re.MULTILINE))
    steps = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", RUNBOOK, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    unknown = []
    for step in steps:
        match step.split():
            case ["transfer-gateway", command, *_] if command in commands:
                pass
            case ["journalctl", "-u", "transfer-gateway", "|", "grep", slug] if slug in slugs:
                pass
            case ["journalctl", "-u", "transfer-gateway", "|", "grep", "-E", *_] if words(step) <= slugs:
                pass
            case ["systemctl", "status" | "reload" | "restart", "transfer-gateway"]:
                pass
            case ["curl", "-s", address] if address.startswith("localhost:9470/"):
                pass
            case ["df", "-h", "/var/lib/transfer-gateway"]:
                pass
            case _:
                unknown.append(step)
    assert unknown == []


def test_the_steps_of_every_section_are_carried_out_somewhere() -> None:
    tests = (Path(__file__).parent / "runbook").glob("test_*.py")
    tried = {name for path in tests for name in re.findall(r'"(TransferGateway\w+)"', path.read_text())}
    assert tried == names


@pytest.mark.broker  # the program comes with Prometheus
def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    code, said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert code == 0, said


@pytest.mark.broker
@pytest.mark.keeps("16.202")
def test_each_alert_fires_for_what_it_is_about_and_not_for_what_is_like_it() -> None:
    code, said = promtool("test", "rules", *map(str, TRIED))
    assert code == 0, said


@pytest.mark.broker
def test_the_trial_misses_each_alert_that_does_not_fire(tmp_path: Path) -> None:
    document = yaml.safe_load(RULES.read_text())
    for group in document["groups"]:
        group["rules"] = [rule for rule in group["rules"] if "record" in rule]
    (tmp_path / RULES.name).write_text(yaml.safe_dump(document))
    for path in TRIED:
        shutil.copy(path, tmp_path)
    code, said = promtool("test", "rules", *(str(tmp_path / path.name) for path in TRIED))
    assert code == 1
    assert [name for name in sorted(names) if f'"{name}"' not in said and f"alertname: {name}" not in said] == []
