/** How values look; the templates write them the same way (executor/views/template_tags/shown.py). */

/** @param {?number} value seconds @returns {string} 0.42 s as "420 ms", then "12 s", "3 min 05 s", "2 h 07 min" */
export function seconds(value) {
  if (value == null) return "—";
  if (value < 0.001) return "0 s";
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 59.5) return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} s`;
  const whole = Math.round(value);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const grouped = new Intl.NumberFormat("en");

export const thousands = (value) => (value == null ? "—" : grouped.format(value));

/** Whole percents, rounded down: 100 only when everything is done. */
export const percent = (value) => `${Math.floor(value || 0)} %`;

export const megabytes = (bytes) => (bytes ? `${grouped.format(Math.round(bytes / 1048576))} MB` : "—");

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });

/** @param {string|number|Date} time @returns {string} in the reader's time zone; the day only if it is not today */
export function moment(time) {
  const date = new Date(time);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
}

/** @param {number} milliseconds since then */
export function ago(milliseconds) {
  const whole = Math.floor(milliseconds / 1000);
  if (whole < 2) return "now";
  if (whole < 60) return `${whole} s ago`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ago`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ago`;
  return `${Math.floor(whole / 86400)} d ago`;
}

export const firstLine = (text) => (text || "").trim().split("\n", 1)[0];

export const pretty = (value) => JSON.stringify(value, null, 2);

export const plural = (count, one, many = `${one}s`) => `${thousands(count)} ${count === 1 ? one : many}`;
