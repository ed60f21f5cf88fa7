/** The state of the page of a batch, as signals. */
import { computed, signal } from "@preact/signals";
import { isFiltered } from "./task_filter.js";

/**
 * @typedef {{task_id: string, number: number, name: string, custom_id: ?string, function: string, priority: string,
 *   status: string, error: ?string, attempt: number, worker: ?string, execution_time: ?number, started_at: ?string,
 *   run_after: ?string, progress: ?Array}} Task
 */
export const island = JSON.parse(document.getElementById("island").textContent);

export const batch = signal(island.batch);
/** @type {import("@preact/signals").Signal<import("./task_filter.js").Filter>} */
export const filter = signal(island.filter);
export const filtered = computed(() => isFiltered(filter.value));

/** The server's clock, to the second: countdowns and running times use it. */
export const now = signal(Date.now());
let offset = 0;
setInterval(() => document.hidden || (now.value = Date.now() + offset), 500);

/** @param {string} at the server's time */
export function setClock(at) {
  const difference = Date.parse(at) - Date.now();
  if (Math.abs(difference - offset) > 1500) offset = difference;
}

export const may = (scope) => island.scopes.includes(scope);

/** The number of the task in the drawer; 0 when it is closed. */
export const openedTask = signal(0);
/** The row that the keyboard is at, counted from 0; -1 for none. */
export const cursor = signal(-1);
