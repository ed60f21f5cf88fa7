/** What the page of a batch knows, as signals. Whoever shows something reads them; whoever learns something sets them. */
import { computed, signal } from "@preact/signals";

/**
 * @typedef {{status: string[], priority: string[], function: string, q: string}} Filter
 * @typedef {{task_id: string, number: number, name: string, custom_id: ?string, function: string, priority: string,
 *   status: string, error: ?string, attempt: number, worker: ?string, execution_time: ?number, started_at: ?string,
 *   run_after: ?string, progress: ?Array}} Task
 */
export const island = JSON.parse(document.getElementById("island").textContent);

export const batch = signal(island.batch);
/** @type {import("@preact/signals").Signal<Filter>} */
export const filter = signal(island.filter);
export const filtered = computed(() => {
  const { status, priority, function: name, q } = filter.value;
  return Boolean(status.length || priority.length || name || q);
});

/** The server's clock, to the second; countdowns and running times go by it. */
export const now = signal(Date.now());
let ahead = 0;
setInterval(() => document.hidden || (now.value = Date.now() + ahead), 500);

/** @param {string} at the server's time just now */
export function setClock(at) {
  const difference = Date.parse(at) - Date.now();
  if (Math.abs(difference - ahead) > 1500) ahead = difference;
}

export const may = (scope) => island.scopes.includes(scope);

/** The number of the task that the drawer shows; 0 when it is closed. */
export const shownTask = signal(0);
/** The row that the keyboard is at, counted from 0; -1 for none. */
export const cursor = signal(-1);

/** @param {Filter} given @returns {URLSearchParams} as the page, the list and the export write it */
export function query(given) {
  const parts = new URLSearchParams();
  if (given.status.length) parts.set("status", given.status.join(","));
  if (given.priority.length) parts.set("priority", given.priority.join(","));
  if (given.function) parts.set("function", given.function);
  if (given.q) parts.set("q", given.q);
  return parts;
}

export const queryText = (parts) => parts.toString().replaceAll("%2C", ",");
