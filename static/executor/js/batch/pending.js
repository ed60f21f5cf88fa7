/** Which tasks came to match the filter, or ceased to, since the list was read. They wait behind the pill. */
import { signal } from "@preact/signals";
import { batch, filter, filtered } from "./state.js";
import { statusOf } from "./change.js";

/** How many changes wait. */
export const pending = signal(0);

let moved = new Set();
let highest = 0;
let listed = null;

/** The list was read anew. @param {?number} matching how many matched then */
export function settle(matching) {
  moved = new Set();
  listed = matching;
  highest = Math.max(highest, batch.value.stats.total_tasks);
  pending.value = 0;
}

/** @param {import("../live/stream.js").Change[]} changes @param {(number: number) => boolean} shown */
export function weigh(changes, shown) {
  const { status } = filter.value;
  for (const change of changes) {
    const [number] = change;
    const now = statusOf(change);
    if (now === "cleared") {
      if (!filtered.value || shown(number)) moved.add(number);
    } else if (status.length) {
      const matches = status.includes(now);
      if (shown(number) === matches) moved.delete(number);
      else moved.add(number);
    } else if (filtered.value && number > highest && now === "queued") {
      moved.add(number);
    }
    if (number > highest) highest = number;
  }
  pending.value = Math.max(moved.size, netChange(status));
}

/** Rows that were never loaded leave unseen; the counters still tell how many more or fewer match. */
function netChange(status) {
  const { priority, function: name, q } = filter.value;
  if (!status.length || priority.length || name || q || listed == null) return 0;
  const match = status.reduce((sum, word) => sum + batch.value.request_counts[word], 0);
  return Math.abs(match - listed);
}
