# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboards as the JSON that Grafana is provisioned with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, VariableOption, VariableRefresh

from scripts.dashboards import gateway, queues, transfers
from scripts.dashboards.panels import SOURCE

if TYPE_CHECKING:
    from types import ModuleType

DIRECTORY = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
BOARDS = (transfers, queues, gateway)
_ALL = VariableOption(text="All", value="$__all", selected=True)
# Variable -> its name, the query for its values.
_INSTANCE = ("instance", "Gateway", "label_values(transfer_gateway_build_info, instance)")
_MORE = {
    "Transfers": [
        ("number", "Number", 'label_values(transfer_gateway_transfers_total{instance=~"$instance"}, number)')
    ],
    "Queues": [("pbx", "PBX", 'label_values(transfer_gateway_pbx_up{instance=~"$instance"}, pbx)')],
    "Gateway": [],
}


def documents() -> dict[str, str]:
    """File name -> JSON of each dashboard."""
    return {f"{board.TITLE.lower()}.json": _document(board) for board in BOARDS}


def _document(board: ModuleType) -> str:
    built = (
        dashboard.Dashboard(f"Transfer gateway: {board.TITLE}")
        .uid(f"transfer-gateway-{board.TITLE.lower()}")
        .description(board.DESCRIPTION)
        .tags(["transfer-gateway"])
        .time("now-24h", "now")
        .timezone("browser")
        .refresh("30s")
        .editable()
        .link(
            dashboard.DashboardLink("Transfer gateway")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["transfer-gateway"])
            .keep_time(keep_time=True)
            .include_vars(include_vars=True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_variable(*_INSTANCE))
    )
    for variable in _MORE[board.TITLE]:
        built = built.with_variable(_variable(*variable))
    address = dashboard.TextBoxVariable("gateway").label("Address of its page").default_value("localhost:9470")
    built = built.with_variable(address)
    for title, panels in board.ROWS:
        built = built.with_row(dashboard.Row(title))
        for panel in panels:
            built = built.with_panel(panel.built())
    document = json.loads(JSONEncoder().encode(built.build()))
    for variable in document["templating"]["list"]:
        # The SDK writes these for every kind of variable; Grafana's schema knows them of intervals alone.
        for key in ("auto", "auto_min", "auto_count"):
            variable.pop(key, None)
    return json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def _variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).query({"query": query, "refId": name}).datasource(SOURCE)
    variable = variable.multi(multi=True).include_all(include_all=True).all_value(".*").current(_ALL)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
