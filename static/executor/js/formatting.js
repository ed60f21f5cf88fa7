/**
 * Texts for values that change while a page is open. The rules are those of executor/domain/formatting.py;
 * tests/formats.json has the examples that both must satisfy.
 */

const NOTHING = "—";
const MEBIBYTE = 1_048_576;

const grouped = new Intl.NumberFormat("en");
const decimals = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });

/** @param {?number} seconds @returns {string} such as "420 ms", "1.2 s", "12 s", "3 min 05 s", "2 h 07 min", "3 d 4 h" */
export function duration(seconds) {
  if (seconds == null) return NOTHING;
  if (seconds < 0.001) return "0 s";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${(Math.round(seconds * 10) / 10).toFixed(1)} s`;
  return wholeDuration(seconds);
}

/** Without fractions of a second, for values that change every second. @param {?number} seconds */
export function wholeDuration(seconds) {
  if (seconds == null) return NOTHING;
  const whole = Math.max(0, Math.round(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export const count = (value) => (value == null ? NOTHING : grouped.format(value));

export const number = (value) => decimals.format(Math.round(value * 100) / 100);

/** Whole percents, rounded down: 100 only when everything is done. */
export const percent = (value) => `${Math.floor(value || 0)} %`;

export const megabytes = (bytes) => (bytes ? `${grouped.format(Math.round(bytes / MEBIBYTE))} MB` : NOTHING);

export const pretty = (value) => JSON.stringify(value, null, 2);

export const firstLine = (text) => (text || "").trim().split("\n", 1)[0];

/** @param {?[number, ?number, string]} value done, total and text @returns {string} such as "3 / 10 · resizing" */
export function progress(value) {
  if (!value) return "";
  const [done, total, text] = value;
  return joined(total ? `${number(done)} / ${number(total)}` : number(done), text);
}

/** Return the outlook of a task: its progress while it runs, its start or next attempt while it waits. @param {number} now epoch ms */
export function outlook(task, now) {
  if (task.status === "running") return progress(task.progress);
  if (task.status !== "queued" || !task.run_after) return "";
  const left = (Date.parse(task.run_after) - now) / 1000;
  const event = task.attempt ? "retry" : "starts";
  return left > 0 ? `${event} in ${wholeDuration(Math.ceil(left))}` : `${event} now`;
}

/** Return the note on a task: its outlook, and the error of its last attempt unless it runs. @param {number} now epoch ms */
export const note = (task, now) => joined(outlook(task, now), task.status === "running" ? "" : firstLine(task.error));

/** @returns {string} such as "2 · retry 1 of 3" */
export function attempts({ attempt, retry_count: used, max_retries: most }) {
  const retries = used ? `retry ${used} of ${most}` : `up to ${most} ${most === 1 ? "retry" : "retries"}`;
  return `${attempt} · ${retries}`;
}

/** How long a task took, or for how long it has been running. @param {number} now epoch ms */
export function elapsed(task, now) {
  if (task.status !== "running") return task.execution_time == null ? "" : duration(task.execution_time);
  if (!task.started_at) return "";
  const seconds = (now - Date.parse(task.started_at)) / 1000;
  return seconds >= 1 ? wholeDuration(Math.floor(seconds)) : "";
}

/** In the reader's time zone; with the day only if it is not today. @param {string|number|Date} time */
export function moment(time) {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
}

/** @param {number} milliseconds */
export function age(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

const joined = (...parts) => parts.filter(Boolean).join(" · ");
