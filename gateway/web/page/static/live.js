// SPDX-License-Identifier: GPL-2.0-or-later
// What goes on, as the gateway tells it while somebody looks: server-sent events of /api/live.

const SILENT_MS = 15_000;
/** The gateway says something every 5 s; one that is silent for longer is asked anew. */
const AGAIN_MS = 5_000;

/**
 * `live.subscribe(told)` calls `told(live)` at once and whenever something is new; it returns what ends that.
 *
 * `live.now` is the last document of /api/live (see docs/operations.md), null before the first; `live.connected`
 * whether the gateway is telling; `live.since` since when it is that, or is not; `live.ahead` by how many ms the clock
 * of this browser is ahead of the gateway's.
 */
export class Live {
  constructor(path = "api/live") {
    Object.assign(this, { path, now: null, connected: false, since: new Date(), ahead: 0 });
    this.told = new Set();
    this.source = null;
    this.timer = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.open()));
  }

  subscribe(told) {
    this.told.add(told);
    told(this);
    return () => this.told.delete(told);
  }

  /** The time by the gateway's clock. */
  get clock() {
    return new Date(Date.now() - this.ahead);
  }

  open() {
    if (this.source !== null || document.hidden) return;
    this.source = new EventSource(this.path);
    this.source.addEventListener("all", (event) => this.take(event, (all) => all));
    this.source.addEventListener("change", (event) => this.take(event, (change) => changed(this.now, change)));
    this.source.addEventListener("error", () => this.away());
    this.wait(SILENT_MS);
  }

  pause() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  take(event, next) {
    const said = JSON.parse(event.data);
    this.now = next(said);
    this.ahead = Date.now() - Date.parse(said.at);
    this.is(true);
    this.wait(SILENT_MS);
  }

  away() {
    this.is(false);
    this.wait(AGAIN_MS);
  }

  /** Asks anew in a while, unless something comes. */
  wait(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.is(false);
      this.pause();
      this.open();
    }, milliseconds);
  }

  is(connected) {
    if (connected !== this.connected) Object.assign(this, { connected, since: new Date() });
    for (const told of this.told) told(this);
  }
}

/** The document with a change in it: whole parts by name, and calls by their ids. */
export function changed(before, change) {
  const { calls, ...parts } = change;
  if (calls === undefined) return { ...before, ...parts };
  const left = new Map(before.calls.map((call) => [call.call, call]));
  for (const id of calls.gone) left.delete(id);
  for (const call of calls.set) left.set(call.call, call);
  return { ...before, ...parts, calls: [...left.values()] };
}
