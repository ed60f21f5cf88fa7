/** Which tasks are selected: some by their ids, or all that match the filter. */
import { batch as together, computed, signal } from "@preact/signals";
import * as rows from "./rows.js";
import { batch, filter } from "./state.js";

/** @type {import("@preact/signals").Signal<Set<string>>} */
export const picked = signal(new Set());
export const all = signal(false);
export const count = computed(() => (all.value ? rows.matching.value : picked.value.size));
export const some = computed(() => all.value || picked.value.size > 0);

let anchor = -1;

export const isPicked = (task) => all.value || picked.value.has(task.task_id);

/** Switch one row, or with `range` all rows from the one switched before. @param {number} index @param {boolean} range */
export async function toggle(index, range = false) {
  const task = rows.at(index);
  if (!task) return;
  const on = !isPicked(task);
  const chosen = all.value ? new Set() : new Set(picked.value);
  const [first, last] = range && anchor >= 0 ? [anchor, index].sort((a, b) => a - b) : [index, index];
  if (last - first > 1) await rows.want(first, last);
  for (let at = first; at <= last; at += 1) {
    const id = rows.at(at)?.task_id;
    if (id && (on || range)) chosen.add(id);
    else if (id) chosen.delete(id);
  }
  anchor = index;
  together(() => {
    all.value = false;
    picked.value = chosen;
  });
}

export function pickAll() {
  all.value = true;
}

export function clear() {
  anchor = -1;
  together(() => {
    all.value = false;
    picked.value = new Set();
  });
}

/** The selection as the arguments of cancel and retry. */
export function selectors() {
  if (!all.value) return { task_ids: [...picked.value] };
  const { status, priority, function: name, q } = filter.value;
  return {
    batch: batch.value.batch_id,
    ...(status.length && { filter_status: status }),
    ...(priority.length && { priority_is: priority }),
    ...(name && { function: name }),
    ...(q && { q }),
  };
}
