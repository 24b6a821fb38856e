# SPDX-License-Identifier: GPL-2.0-or-later
"""Panels, built with Grafana's own SDK: each has a title, a description, a unit, and queries in PromQL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDE = 24
"""The columns of a dashboard."""

SECONDS, COUNT, SHARE, RATE, BYTES = "s", "short", "percentunit", "reqps", "bytes"
UP = {"0": ("down", "red"), "1": ("up", "green")}
"""What a gauge of 0 or 1 says, and its colour."""
WHOLE = (
    " Whole numbers: Prometheus extends what it saw between its first and its last look to the edges of the time, and "
    "each series is rounded."
)
"""What the description of a panel of counts ends with."""


def increase(counter: str, window: str, by: str = "") -> str:
    """How often a counter went up within the window, in whole numbers, added up by the labels `by`.

    `increase` alone is extrapolated: 3 transfers may be 3.04. Each series is rounded, and not their sum: the fewer a
    series has counted the surer its whole number is the right one, and sums of panels beside one another agree.
    """
    return f"sum{f' by ({by}) ' if by else ''}(round(increase({counter}[{window}])))"


SPAN = "since=${__from:date:iso}&until=${__to:date:iso}"
"""That a dashboard shows, as the address of the gateway's history takes it."""


@dataclass(frozen=True)
class Query:
    """A PromQL expression, without `transfer_gateway_` before `@`, and how its series are called."""

    expression: str
    legend: str = ""
    exemplars: bool = False

    @property
    def promql(self) -> str:
        """As Prometheus takes it."""
        return self.expression.replace("@", "transfer_gateway_")


@dataclass(frozen=True)
class Panel(ABC):
    """What a panel shows; `transfers` are the filters of the gateway's history that its links lead to."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    transfers: str | None = None

    @abstractmethod
    def built(self) -> Builder[model.Panel]:
        """As Grafana takes it."""

    def _finished(self, panel: Any, *, instant: bool = False, format_: PromQueryFormat | None = None) -> Any:
        whole = self.unit == COUNT and any("round(increase(" in query.expression for query in self.queries)
        described = self.description + (WHOLE if whole else "")
        panel = panel.title(self.title).description(described).unit(self.unit).datasource(SOURCE)
        panel = panel.span(self.width).height(self.height)
        for place, query in enumerate(self.queries):
            target = prometheus.Dataquery().expr(query.promql).ref_id("ABCDEFGH"[place]).legend_format(query.legend)
            target = target.instant() if instant else target.range().exemplar(query.exemplars)
            panel = panel.with_target(target.format(format_) if format_ else target)
        if self.transfers is not None:
            url = f"http://${{gateway}}/#/history?{self.transfers}&{SPAN}"
            link = dashboard.DashboardLink("The transfers behind it").url(url).target_blank(target_blank=True)
            panel = panel.data_links([link])
        return panel


@dataclass(frozen=True)
class Graph(Panel):
    """Lines over time; `stacked`: bars on one another."""

    stacked: bool = False

    def built(self) -> Builder[model.Panel]:
        """See Panel."""
        legend = common.VizLegendOptions().display_mode(words.LegendDisplayMode.LIST).show_legend(show_legend=True)
        panel = timeseries.Panel().legend(legend.placement(words.LegendPlacement.BOTTOM).calcs([])).min(0)
        panel = panel.tooltip(
            common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI).sort(words.SortOrder.DESCENDING)
        )
        if self.stacked:
            stacking = common.StackingConfig().mode(words.StackingMode.NORMAL).group("A")
            panel = panel.draw_style(words.GraphDrawStyle.BARS).fill_opacity(80).line_width(0).stacking(stacking)
        return self._finished(panel)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Figure(Panel):
    """One number for each series, as it is at the end of the time. `words` stand for some of them, coloured."""

    width: int = 4
    height: int = 4
    words: dict[str, tuple[str, str]] | None = None

    def built(self) -> Builder[model.Panel]:
        """See Panel."""
        reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)
        panel = stat.Panel().reduce_options(reduced).graph_mode(words.BigValueGraphMode.NONE)
        # Or a share of none, or how long it took nobody.
        no_number = model.DashboardSpecialValueMapOptions(
            match=model.SpecialValueMatch.NULL_AND_NAN,
            result=model.ValueMappingResult(text="unknown" if self.words else "–"),
        )
        mappings: list[model.ValueMapping] = [model.SpecialValueMap(options=no_number)]
        if self.words:
            options = {
                value: model.ValueMappingResult(text=text, color=color) for value, (text, color) in self.words.items()
            }
            mappings.insert(0, model.ValueMap(options=options))
        return self._finished(panel.mappings(mappings), instant=True)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Bars(Panel):
    """A bar for each series, over the whole of the time. `steps`: the colour from each value on, the least first."""

    steps: tuple[tuple[float | None, str], ...] = ()

    def built(self) -> Builder[model.Panel]:
        """See Panel."""
        reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False)
        panel = bargauge.Panel().reduce_options(reduced).min(0).orientation(words.VizOrientation.HORIZONTAL)
        if self.steps:
            steps = [model.Threshold(value=value, color=color) for value, color in self.steps]
            panel = panel.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
        return self._finished(panel.display_mode(words.BarGaugeDisplayMode.GRADIENT), instant=True)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Heat(Panel):
    """How a histogram's observations are spread, over time."""

    def built(self) -> Builder[model.Panel]:
        """See Panel."""
        color = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(32)
        panel = heatmap.Panel().color(color).y_axis(heatmap.YAxisConfig().unit(self.unit))
        return self._finished(panel, format_=PromQueryFormat.HEATMAP)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Grid(Panel):
    """A row for each value of the label `by`, a column for each query."""

    by: str = ""

    def built(self) -> Builder[model.Panel]:
        """See Panel."""
        names = {f"Value #{'ABCDEFGH'[place]}": query.legend for place, query in enumerate(self.queries)}
        joined = model.DataTransformerConfig(id_val="joinByField", options={"byField": self.by, "mode": "outer"})
        hidden = {f"Time {place}": True for place in range(1, len(self.queries) + 1)} | {"Time": True}
        ordered = {"excludeByName": hidden, "renameByName": names, "indexByName": {}}
        panel = table.Panel().with_transformation(joined)
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=ordered))
        return self._finished(panel, instant=True, format_=PromQueryFormat.TABLE)  # type: ignore[no-any-return]
