// SPDX-License-Identifier: GPL-2.0-or-later
// Times and amounts as people read them.

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** How long, in seconds: `0:07`, `12:40`, `3 h 05`, `2 d 4 h`. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))}`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

/** How old, in seconds, for what is looked at: `now`, `12 s`, `4 min`, `3 h`. */
export function age(seconds) {
  if (seconds < 2) return "now";
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Seconds from an RFC 3339 time to a Date. */
export function since(at, now) {
  return (now.getTime() - Date.parse(at)) / 1000;
}

/** A time on the clock of this browser; with the day where it is not that of `now`. */
export function clock(at, now = new Date()) {
  const time = new Date(at);
  const hour = time.toLocaleTimeString("en-GB", CLOCK);
  if (time.toDateString() === now.toDateString()) return hour;
  const days = Math.abs(time.getTime() - now.getTime()) / 86_400_000;
  const day = days < 6 ? { weekday: "long" } : { weekday: "short", day: "numeric", month: "long" };
  return `${time.toLocaleDateString("en-GB", day)} ${hour}`;
}

/** `1 call`, `2 calls`. */
export function many(count, one, more = `${one}s`) {
  return `${count} ${count === 1 ? one : more}`;
}

/** A caller; a number without its middle where `[history] callers` has callers masked or hashed. */
export function caller(number, masked) {
  if (number === null) return "withheld";
  return masked && /^\+?\d{5,}$/.test(number) ? `${number.slice(0, 3)}…${number.slice(-2)}` : number;
}
