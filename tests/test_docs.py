# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents say is still so: the README's configuration and outcome, links, reasons, events, metrics."""

import json
import re
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.config import load
from gateway.core.outcome import Reason
from gateway.documents import EndedTransferData, TransferData
from gateway.report.event import schema
from gateway.report.history.metrics import HistoryMetrics
from gateway.report.labels import Plan
from gateway.report.metrics import Metrics
from gateway.report.platform_metrics import PlatformMetrics
from gateway.report.webhook_metrics import WebhookMetrics

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
EVENTS = (ROOT / "docs" / "events.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    missing = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert missing == []


def test_the_drawing_of_the_house_has_every_room_and_no_other() -> None:
    tree = re.search(r"^```text\ngateway/\n(.*?)^```", ARCHITECTURE, re.MULTILINE | re.DOTALL)
    assert tree
    drawn = set(re.findall(r"(?<=\s)(\w+\.py|\w+/)(?=[\s;:,)])", tree[1]))
    rooms = {
        f"{path.name}/" if path.is_dir() else path.name
        for inside in ("", "engine", "sip")
        for path in (ROOT / "gateway" / inside).iterdir()
        if not path.name.startswith("__") and (path.is_dir() or path.suffix == ".py")
    }
    assert rooms - drawn == set()
    assert [name for name in drawn if not any((ROOT / "gateway").rglob(name.rstrip("/")))] == []


def test_every_path_of_the_architecture_is_there() -> None:
    named = set(re.findall(r"`((?:[\w-]+/)+[\w.*-]*|\w+\.py)`", ARCHITECTURE))
    places = [
        ROOT,
        ROOT / "gateway",
        ROOT / "gateway/sip/requests",
        ROOT / "gateway/core/transfer",
        ROOT / "tests/support",
    ]
    missing = [path for path in named if not any(any(place.glob(path.rstrip("/"))) for place in places)]
    assert len(named) > 20
    assert missing == []


def test_the_configuration_in_the_readme_has_no_mistakes(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(block("toml"))
    (tmp_path / "sip_profiles").mkdir()
    for name in ("hms", "asterisk"):
        (tmp_path / "sip_profiles" / f"{name}.toml").write_text((ROOT / "sip_profiles" / f"{name}.toml").read_text())
    (tmp_path / "sip_profiles" / "ami.secret").write_text("secret")
    config = load(tmp_path)
    assert list(config.numbers[0].destinations) == ["sales", "voicemail"]


def test_the_outcome_in_the_readme_is_one_the_gateway_could_send() -> None:
    told = json.loads(block("json"))
    # A field that was added since is null or empty there; one that is gone, or means something else, is a fault.
    assert set(told) <= set(EndedTransferData.model_fields)
    missing = {name: None for name in EndedTransferData.model_fields if name not in told}
    EndedTransferData.model_validate(told | missing)


def test_the_readme_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    ([a-z]+) +\w", capsys.readouterr().out, re.MULTILINE)
    assert len(commands) > 5
    assert [name for name in commands if f"| `{name}" not in README] == []


def test_every_reason_is_explained_with_its_code_and_outcome() -> None:
    missing = [
        reason
        for reason in Reason
        if reason is not Reason.ACCEPTED and f"| `{reason}` | {reason.sip_code} | {reason.outcome} |" not in OPERATIONS
    ]
    assert missing == []


def test_every_event_and_field_is_described() -> None:
    kinds = set(re.findall(r'"((?:transfer|call)\.[a-z]+\.v1)"', json.dumps(schema())))
    assert len(kinds) == 6
    names = kinds | set(TransferData.model_fields)
    assert [name for name in sorted(names) if f"`{name}`" not in EVENTS] == []


def test_every_metric_to_alert_on_exists() -> None:
    metrics = Metrics(version="0", pjsip="0")
    WebhookMetrics(metrics.registry)
    HistoryMetrics(metrics.registry)
    PlatformMetrics(metrics.registry)
    metrics.configure(Plan({"main-line": ("sales",)}, {"asterisk": ("sales",)}, ("hms",)))
    exported = {line.split()[2] for line in metrics.render()[0].decode().splitlines() if line.startswith("# TYPE ")}
    section = OPERATIONS.partition("## What to alert on")[2].partition("\n## ")[0]
    named = set(re.findall(r"\b([a-z]+(?:_[a-z]+)+)\b(?= *[{\[=>]| *==)", section))
    assert len(named) > 5
    unknown = {name for name in named if f"transfer_gateway_{name.removesuffix('_bucket')}" not in exported}
    assert unknown <= {"when_unknown"}
