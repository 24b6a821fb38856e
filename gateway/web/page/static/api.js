// SPDX-License-Identifier: GPL-2.0-or-later
// What the page asks of the gateway that it came from.

/** An answer that is no success: `status`, `code` (a slug) and `message` for people; `body` is all of it. */
export class ApiError extends Error {
  constructor(status, code, message, body) {
    super(message);
    Object.assign(this, { status, code, body });
  }
}

/**
 * The JSON at an address of ours, such as `api("api/transfers?limit=10")`; with `body` it is a POST of that.
 * Throws ApiError; one with the status 0 where nobody answers.
 */
export async function api(path, { method, body, signal } = {}) {
  const options = { method: method ?? (body === undefined ? "GET" : "POST"), signal, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "the gateway does not answer", null);
  }
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    if (response.ok && response.status !== 204) throw new ApiError(response.status, "no-json", "the answer cannot be read", null);
  }
  if (!response.ok) {
    throw new ApiError(response.status, answer?.error?.code ?? "http", answer?.error?.message ?? `status ${response.status}`, answer);
  }
  return answer;
}

/** A query string of those parameters that say something. */
export function query(parameters) {
  const said = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return new URLSearchParams(said).toString();
}

/** A text as a part of an address, whatever is in it. */
export function part(text) {
  return encodeURIComponent(String(text).toWellFormed());
}
