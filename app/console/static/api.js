// Calls of the service. The key is kept in this module's memory and nowhere else.

const ROOT = new URL("../", document.baseURI);
const POLL_MS = 2000;
const LONGEST_MS = 60_000; // a call
const ROUTERS = [502, 503, 504]; // what stands in front of a service that is away says this

let key = null;
let awayListener = () => {};
let waiting = null;

/** What the service, or the way to it, refused. status 0: no answer came. */
export class Problem extends Error {
  constructor(status, { code, title, request_id: requestId, ...members }, retryAfterS = null) {
    super(title);
    Object.assign(this, { status, code, title, requestId, members, retryAfterS });
  }
}

/** Send this key with every call from now on; null sends none. */
export function useKey(given) {
  key = given;
}

export function hasKey() {
  return key !== null;
}

/** Call listener(problem) when the service goes away, and listener(null) when it is back. */
export function onAway(listener) {
  awayListener = listener;
}

/**
 * Make a call, such as call("GET", "api/v2/system"). Return {status, headers, data}.
 *
 * json: an object to send. form: an object to send as a form; photos are Blobs, several of them an
 * array, and other objects are written as JSON. query: an object; what is null or "" is left out.
 * isText: return the answer as it came. Whole numbers too large for JavaScript come as text.
 * Throws a Problem; if signal was aborted, its AbortError.
 */
export async function call(method, path, { json, form, query, headers = {}, signal, isText = false } = {}) {
  const address = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") address.searchParams.set(name, value);
  }
  const sent = { Accept: "application/json", ...headers };
  if (key !== null) sent["X-API-Key"] = key;
  if (json !== undefined) sent["Content-Type"] = "application/json";
  const body = json !== undefined ? JSON.stringify(json) : form ? asForm(form) : undefined;
  const ends = AbortSignal.any([AbortSignal.timeout(LONGEST_MS), ...(signal ? [signal] : [])]);
  const request = { method, headers: sent, body, signal: ends, credentials: "omit", redirect: "error" };
  let response;
  let text;
  try {
    response = await fetch(address, request);
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw gone();
  }
  if (response.ok) return { status: response.status, headers: response.headers, data: isText ? text : parsed(text) };
  const said = parsed(text);
  const isOurs = typeof said?.code === "string";
  if (!isOurs && ROUTERS.includes(response.status)) throw gone();
  const members = isOurs ? said : { code: "http_error", title: "" };
  const wait = response.headers.get("Retry-After");
  const problem = new Problem(response.status, members, wait === null ? null : Number(wait));
  if (problem.code === "not_ready") watchForReturn(problem);
  throw problem;
}

/** What to throw if the service does not answer; from now on, its return is waited for. */
function gone() {
  const problem = new Problem(0, { code: "away", title: "" });
  watchForReturn(problem);
  return problem;
}

/** Wait for some milliseconds. Throws an AbortError if signal is aborted meanwhile. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    function done() {
      signal?.removeEventListener("abort", stop);
      resolve();
    }
    function stop() {
      clearTimeout(timer);
      reject(signal.reason);
    }
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
  });
}

function asForm(members) {
  const form = new FormData();
  for (const [name, value] of Object.entries(members)) {
    for (const part of Array.isArray(value) ? value : [value]) {
      if (part === null || part === undefined) continue;
      const isPlain = part instanceof Blob || typeof part !== "object";
      form.append(name, isPlain ? part : JSON.stringify(part));
    }
  }
  return form;
}

/** What a JSON text holds; null if it is none. */
function parsed(text) {
  try {
    return JSON.parse(text, exact);
  } catch {
    return null;
  }
}

/** Keep a whole number that JavaScript would round, such as a long employee number, as text. */
function exact(name, value, context) {
  const isRounded = Number.isInteger(value) && !Number.isSafeInteger(value);
  return isRounded ? (context?.source ?? value) : value;
}

/** Ask until the service is ready; say when it is away, and when it is back. */
async function watchForReturn(problem) {
  if (waiting) return;
  waiting = true;
  awayListener(problem);
  for (;;) {
    await pause(POLL_MS);
    const isReady = await fetch(new URL("readyz", ROOT), { credentials: "omit", signal: AbortSignal.timeout(LONGEST_MS) }).then(
      (response) => response.ok,
      () => false,
    );
    if (isReady) break;
  }
  waiting = false;
  awayListener(null);
}
