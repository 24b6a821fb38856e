# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboards that are shipped are those of the code, and each panel says what it shows and in which unit."""

from __future__ import annotations

import hashlib
import itertools
import re
from datetime import UTC, datetime

import pytest
import yaml

from gateway.report.history.metrics import HistoryMetrics
from gateway.report.labels import Plan
from gateway.report.metrics import Metrics
from gateway.report.webhook_metrics import WebhookMetrics
from scripts.dashboards.documents import documents
from tests.deploy.asking import DASHBOARDS, Document, dashboards, filled, panels

pytestmark = pytest.mark.slow

GRAFANA = DASHBOARDS.parent
ROOT = GRAFANA.parents[1]
BOARDS = dashboards()
PANELS = [(name, panel) for name, board in BOARDS.items() for panel in panels(board)]
UNITS = {"s", "short", "percentunit", "reqps", "bytes"}

each_panel = pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=[f"{name}: {panel['title']}" for name, panel in PANELS]
)


def test_what_is_shipped_is_what_the_code_writes() -> None:
    assert {path.name: path.read_text() for path in DASHBOARDS.iterdir()} == documents()


def test_what_is_shipped_has_been_held_against_the_schemas_of_grafana_and_compose() -> None:
    # That takes Node.js, which `make test` does without: `make dashboards` does it and notes which ones have passed.
    noted = (ROOT / "scripts" / "dashboards" / "schema" / "held.sha256").read_text()
    deploy = ROOT / "deploy"
    held = [deploy / "compose.yaml", *sorted(DASHBOARDS.iterdir())]
    found = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(deploy)}\n" for path in held)
    assert noted == found, "run `make dashboards`"


@each_panel
def test_a_panel_says_what_it_shows_in_which_unit_and_asks_the_chosen_gateways(board: str, panel: Document) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for target in panel["targets"]:
        asked = re.findall(r"[a-z_]+(?=\{)", target["expr"])
        assert target["expr"].count('instance=~"$instance"') == len(asked) > 0
        assert filled(target["expr"], 60)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_data_source_and_gateway_are_variables(board: Document) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["instance"]["multi"]
    assert variables["instance"]["includeAll"]
    assert board["uid"].startswith("transfer-gateway-")


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_no_panel_covers_another(board: Document) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        rows, columns = range(at["y"], at["y"] + at["h"]), range(at["x"], at["x"] + at["w"])
        cells = set(itertools.product(rows, columns))
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_metric_is_shown_or_known_not_to_be() -> None:
    metrics = Metrics(version="0", pjsip="0")
    metrics.configure(Plan({"main-line": ("sales",)}, {"asterisk": ("sales",)}, ("hms",)))
    metrics.certificates_end({"sip.tls_certificate": datetime.now(UTC)})
    WebhookMetrics(metrics.registry).configured(["crm"])
    HistoryMetrics(metrics.registry)
    lines = metrics.render()[0].decode().splitlines()
    exported = {line.split("{")[0].split()[0] for line in lines if line[0] != "#"}
    named = {
        name
        for _, panel in PANELS
        for target in panel["targets"]
        for name in re.findall(r"\b(?:transfer_gateway|process)_\w+", target["expr"])
    }
    assert named - exported == set()
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exported if name.startswith("transfer_gateway")}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    assert families - shown == {
        "transfer_gateway_config_last_reload_success_timestamp_seconds",  # a moment that says nothing on a graph
    }


def test_a_panel_of_counts_shows_whole_numbers_and_says_how() -> None:
    counted = [panel for _, panel in PANELS if any("increase(" in target["expr"] for target in panel["targets"])]
    assert len(counted) > 15
    for panel in counted:
        for target in panel["targets"]:
            assert target["expr"].count("round(increase(") == target["expr"].count("increase("), panel["title"]
        if panel["fieldConfig"]["defaults"]["unit"] == "short":
            assert "each series is rounded." in panel["description"], panel["title"]


def test_what_leads_to_transfers_asks_by_what_the_page_s_history_knows() -> None:
    links = [link["url"] for _, panel in PANELS for link in panel["fieldConfig"]["defaults"].get("links", [])]
    assert len(links) > 5
    filters = re.search(r"const FILTERS = \[([^\]]*)\]", (ROOT / "gateway/web/page/static/history.js").read_text())
    assert filters
    known = set(re.findall(r'"(\w+)"', filters[1]))
    for link in links:
        path, _, query = link.partition("?")
        assert path == "http://${gateway}/#/history"
        asked = dict(pair.split("=") for pair in query.split("&"))
        assert (asked.pop("since"), asked.pop("until")) == ("${__from:date:iso}", "${__to:date:iso}")
        assert asked
        assert set(asked) <= known


def test_grafana_is_provisioned_with_them_and_with_exemplars_that_lead_to_trails() -> None:
    [provider] = yaml.safe_load((GRAFANA / "provisioning/dashboards/transfer-gateway.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards/transfer-gateway"
    [source] = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    [leads] = source["jsonData"]["exemplarTraceIdDestinations"]
    assert leads["name"] == "transfer"
    assert leads["url"].endswith("/#/transfers/$${__value.raw}")
