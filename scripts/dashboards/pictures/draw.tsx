// SPDX-License-Identifier: GPL-2.0-or-later
// Draws a dashboard with Grafana's own components from what a Prometheus answered to its queries; no Grafana runs.
// The answers are in RECORDED, or are had from LIVE, an address, again and again.
import {
  createTheme, getDisplayValueAlignmentFactors, type DataFrame, FieldColorModeId, FieldType, getDisplayProcessor,
  type GrafanaTheme2, ThemeContext, toDataFrame, dateTime,
} from "@grafana/data";
import { BarGauge, BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode, PanelChrome, TimeSeries, VizRepeater } from "@grafana/ui";
import { BarGaugeDisplayMode, LegendDisplayMode, VizOrientation } from "@grafana/schema";
import React from "react";
import { createRoot } from "react-dom/client";

declare global { interface Window { RECORDED?: any; LIVE?: string } }

const WIDTH = 1440, CELL = WIDTH / 24, ROW = 38;
const theme: GrafanaTheme2 = createTheme({ colors: { mode: "light" } });
const THRESHOLDS = { mode: "absolute" as any, steps: [{ value: -Infinity, color: "green" }] };
const AGAIN_MS = 3000;
let recorded = window.RECORDED, told = "";

const range = () => ({ from: dateTime(recorded.start * 1000), to: dateTime(recorded.end * 1000), raw: { from: "now-1m", to: "now" } });

function legend(format: string, labels: Record<string, string>): string {
  return format ? format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? "") : JSON.stringify(labels);
}

function frames(panel: any, shown: any[]): DataFrame[] {
  const made: DataFrame[] = [];
  panel.targets.forEach((target: any, place: number) => {
    for (const series of shown[place]) {
      const name = legend(target.legendFormat ?? "", series.metric);
      made.push(toDataFrame({
        name, refId: target.refId,
        fields: [
          { name: "Time", type: FieldType.time, values: series.values.map((pair: any) => pair[0] * 1000) },
          { name, type: FieldType.number, labels: series.metric, values: series.values.map((pair: any) => Number(pair[1])),
            config: { displayName: name } },
        ],
      }));
    }
  });
  made.forEach((frame, place) => {
    const field = frame.fields[1];
    field.config = { color: { mode: FieldColorModeId.PaletteClassic }, thresholds: THRESHOLDS, ...panel.fieldConfig.defaults, displayName: frame.name,
      mappings: panel.fieldConfig.defaults.mappings ?? [] };
    field.state = { seriesIndex: place, displayName: frame.name };
    frame.fields[0].display = getDisplayProcessor({ field: frame.fields[0], theme, timeZone: "utc" });
    field.display = getDisplayProcessor({ field, theme, timeZone: "utc" });
  });
  return made;
}

function Lines({ panel, shown, width, height }: any) {
  const data = frames(panel, shown);
  for (const frame of data) {
    // One value that is no number would leave the axis without a scale.
    frame.fields[1].values = frame.fields[1].values.map((value: number) => (Number.isNaN(value) ? null : value));
    const custom = panel.fieldConfig.defaults.custom ?? {};
    frame.fields[1].config.custom = { lineWidth: 1, fillOpacity: 8, showPoints: "never", ...custom };
  }
  return <TimeSeries frames={data} timeRange={range() as any} timeZone="utc" width={width} height={height}
    legend={{ displayMode: LegendDisplayMode.List, placement: "bottom", calcs: [], showLegend: true } as any} />;
}

function values(panel: any, shown: any[]): any[] {
  return frames(panel, shown).map((frame) => {
    const field = frame.fields[1], last = field.values[field.values.length - 1];
    return { display: { ...field.display!(last), title: frame.name }, field: field.config, name: frame.name };
  });
}

function Numbers({ panel, shown, width, height }: any) {
  return <VizRepeater source={values(panel, shown)} width={width} height={height} orientation={VizOrientation.Auto} getValues={() => values(panel, shown)}
    renderValue={({ value, width, height }: any) => <BigValue value={value.display} width={width} height={height} theme={theme}
      colorMode={BigValueColorMode.Value} graphMode={BigValueGraphMode.None} textMode={panel.fieldConfig.defaults.mappings.length > 1 ? BigValueTextMode.ValueAndName : BigValueTextMode.Value} />} renderCounter={0} autoGrid />;
}

function Bars({ panel, shown, width, height }: any) {
  // Eight fit, as in Grafana without scrolling; those with nothing to show come last.
  const all = values(panel, shown).slice(0, 8);
  const max = Math.max(...all.map((one) => one.display.numeric), 0.0001);
  return <VizRepeater source={all} width={width} height={height} orientation={VizOrientation.Horizontal} getValues={() => all} itemSpacing={4} renderCounter={0} maxVizHeight={48}
    getAlignmentFactors={getDisplayValueAlignmentFactors}
    renderValue={({ value, width, height, alignmentFactors }: any) => <BarGauge value={value.display} width={width} height={height} theme={theme}
      field={{ ...value.field, min: 0, max }}  orientation={VizOrientation.Horizontal}
      displayMode={BarGaugeDisplayMode.Gradient} alignmentFactors={alignmentFactors} itemSpacing={4} lcdCellWidth={12} />} />;
}

function Cells({ panel, shown }: any) {
  const by = panel.transformations[0].options.byField as string;
  const rows = new Map<string, Record<string, string>>();
  panel.targets.forEach((target: any, place: number) => {
    for (const series of shown[place]) {
      const row = rows.get(series.metric[by]) ?? {};
      row[target.legendFormat] = Number(series.values[0][1]).toFixed(0);
      rows.set(series.metric[by], row);
    }
  });
  const columns = panel.targets.map((target: any) => target.legendFormat);
  const cell = { padding: "3px 10px", borderBottom: `1px solid ${theme.colors.border.weak}`, textAlign: "left" as const };
  return <table style={{ width: "100%", borderCollapse: "collapse", fontSize: 13 }}>
    <thead><tr>{[by, ...columns].map((name: string) => <th key={name} style={cell}>{name}</th>)}</tr></thead>
    <tbody>{[...rows].map(([name, row]) => <tr key={name}><td style={cell}>{name}</td>
      {columns.map((column: string) => <td key={column} style={cell}>{row[column] ?? ""}</td>)}</tr>)}</tbody>
  </table>;
}

// @grafana/ui has no heat map, which is a plugin of the server's: a cell for each moment and bucket, the darker the more.
const edge = (series: any) => (series.metric.le === "+Inf" ? Infinity : Number(series.metric.le));

function Heat({ shown, width, height }: any) {
  const buckets = [...shown[0]].sort((one: any, other: any) => edge(one) - edge(other));
  const counts = buckets.map((bucket: any, place: number) => bucket.values.map((pair: any, at: number) =>
    Math.max(0, Number(pair[1]) - (place ? Number(buckets[place - 1].values[at]?.[1] ?? 0) : 0))));
  const most = Math.max(...counts.flat(), 0.0001), high = height / buckets.length;
  return <div style={{ width, height }}>{counts.map((row: number[], place: number) => [row, place] as const).reverse().map(([row, place]) =>
    <div key={place} style={{ display: "flex", height: high, fontSize: 10 }}>
      <span style={{ width: 52 }}>{edge(buckets[place]) === Infinity ? "longer" : `≤ ${edge(buckets[place])} s`}</span>
      {row.map((count, at) => <span key={at} style={{ flex: 1, background: `rgba(250, 100, 0, ${count / most})` }} />)}
    </div>)}</div>;
}

const Nothing = () => <div style={{ color: theme.colors.text.secondary, padding: 8 }}>No data</div>;
const KINDS: Record<string, any> = { timeseries: Lines, heatmap: Heat, stat: Numbers, bargauge: Bars, table: Cells };

function Board({ name }: { name: string }) {
  const board = recorded.dashboards[name];
  let place = -1;
  return <div style={{ position: "relative", width: WIDTH, background: theme.colors.background.canvas }}>
    {board.panels.map((panel: any) => {
      const at = panel.gridPos;
      const style = { position: "absolute" as const, left: at.x * CELL + 4, top: at.y * ROW + 50 };
      if (panel.type === "row") {
        return <div key={panel.title} style={{ ...style, fontSize: 18, fontWeight: 500, paddingTop: 8 }}>{panel.title}</div>;
      }
      place += 1;
      const shown = recorded.shown[name][place], Kind = shown.flat().length ? KINDS[panel.type] : Nothing;
      return <div key={panel.title} style={style}>
        <PanelChrome title={panel.title} width={at.w * CELL - 8} height={at.h * ROW - 8}>
          {(width: number, height: number) => <Kind panel={panel} shown={shown} width={width} height={height} />}
        </PanelChrome>
      </div>;
    })}
    <div style={{ position: "absolute", left: 8, top: 10, fontSize: 24 }}>{board.title}</div>
    {window.LIVE && <div style={{ position: "absolute", right: 8, top: 18 }}>{told} {Object.keys(recorded.dashboards).map((other) =>
      <a key={other} href={`?board=${other}`} style={{ marginLeft: 16 }}>{recorded.dashboards[other].title}</a>)}</div>}
  </div>;
}

class Told extends React.Component<any, any> {
  state = { error: "" };
  static getDerivedStateFromError(error: any) { return { error: String(error?.stack ?? error) }; }
  render() { return this.state.error ? <pre id="failed">{this.state.error}</pre> : this.props.children; }
}

const name = new URLSearchParams(location.search).get("board") ?? "transfers";
const root = createRoot(document.getElementById("root")!);
const draw = () => root.render(<Told><ThemeContext.Provider value={theme}><Board name={name} /></ThemeContext.Provider></Told>);

async function follow(address: string) {
  for (;;) {
    try {
      const answer = await fetch(`${address}?board=${name}`);
      if (!answer.ok) throw new Error(await answer.text());
      recorded = await answer.json();
      told = `as of ${new Date(recorded.end * 1000).toISOString().slice(11, 19)} UTC`;
    } catch (error) {
      told = `No newer figures: ${error}`;
    }
    if (recorded) draw(); else document.getElementById("root")!.textContent = told;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

if (window.LIVE) follow(window.LIVE); else draw();
