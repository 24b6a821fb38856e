// SPDX-License-Identifier: GPL-2.0-or-later
// What the slugs of the gateway mean, in words.

import { clock, duration, since } from "./format.js";

// Without a prototype: no slug may find what every object has.
const REFUSED = {
  __proto__: null,
  "outside-hours": "closed",
  holiday: "closed for a holiday",
  "queue-unstaffed": "nobody is logged in",
  "queue-unknown": "the PBX does not tell who is there",
  "wait-too-long": "the wait is too long",
  "agents-busy": "all agents are busy",
  "queue-full": "the queue is full",
  "at-capacity": "the gateway takes no more",
  "trunk-at-capacity": "the trunk has all its calls",
  busy: "busy",
  unreachable: "the phone is not there",
  "gateway-stopped": "the gateway is about to stop",
};

/** Why a destination would take nobody now: `closed until 09:00`. */
export function refusal(destination, now) {
  const words = destination.reason === "holiday" && destination.holiday ? `closed, ${destination.holiday}` : REFUSED[destination.reason];
  const until = destination.opens_at ? ` until ${clock(destination.opens_at, now)}` : "";
  return `${words ?? destination.reason}${until}`;
}

const ASKED = { __proto__: null, dialling: "being called", ringing: "rings", answered: "answers", whispering: "is asked to take it", calling: "has the caller called back", handing: "handed to the PBX", listening: "comes back", switching: "is put through", kept: "has a place kept" };
const ANSWERED_BY = { __proto__: null, agent: "agent", extension: "phone", outside: "outside line", voicemail: "voicemail", application: "announcement" };

/**
 * Where the caller of a line of /api/live is: `reached` is the index of the place, `asked` whether somebody is still
 * being asked for there, `places` what stands at each of the four.
 */
export function where(call, now) {
  const at = (time) => (time ? duration(since(time, now)) : "");
  const places = {
    caller: { words: call.caller ?? "withheld", what: call.begun_by },
    assistant: { words: call.number, what: "" },
    queue: { words: "", what: "" },
    person: { words: "", what: "" },
  };
  const name = call.destination_name ?? call.destination ?? "";
  if (call.stage === "arriving") return { reached: 0, asked: true, places };
  if (call.stage === "calling") {
    places.assistant.what = "being called";
    return { reached: 1, asked: true, places };
  }
  if (call.stage === "assistant") {
    places.assistant.what = `talks, ${at(call.stage_at)}`;
    return { reached: 1, asked: false, places };
  }
  if (call.stage === "asked") {
    places.queue = { words: name, what: `${ASKED[call.transfer_state] ?? call.transfer_state}, ${at(call.stage_at)}` };
    return { reached: 2, asked: true, places };
  }
  if (call.stage === "waiting") {
    places.queue = { words: name, what: `waits, ${at(call.stage_at)}` };
    return { reached: 2, asked: false, places };
  }
  if (call.stage === "person") {
    places.queue = { words: name, what: "" };
    places.person = { words: ANSWERED_BY[call.answered_by] ?? "answered", what: `talks, ${at(call.stage_at)}` };
    return { reached: 3, asked: false, places };
  }
  places.person.what = "ends";
  return { reached: call.destination ? 3 : 1, asked: false, places };
}
