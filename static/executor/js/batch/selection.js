/** The selected tasks: some by their ids, or all that match the filter. */
import { batch as together, computed, signal } from "@preact/signals";
import { rows } from "./rows.js";
import { batch, filter } from "./state.js";
import { selectedBy } from "./task_filter.js";

/** @type {import("@preact/signals").Signal<Set<string>>} */
export const picked = signal(new Set());
export const all = signal(false);
export const count = computed(() => (all.value ? rows.matching.value : picked.value.size));
export const some = computed(() => all.value || picked.value.size > 0);

let anchor = -1;

export const isPicked = (task) => all.value || picked.value.has(task.task_id);

/** Switch one row, or with `range` all rows from the previous one. @param {number} index @param {boolean} range */
export async function toggle(index, range = false) {
  const task = rows.at(index);
  if (!task) return;
  const on = !isPicked(task);
  const ids = all.value ? new Set() : new Set(picked.value);
  const [first, last] = range && anchor >= 0 ? [anchor, index].sort((a, b) => a - b) : [index, index];
  if (last - first > 1) await rows.show(first, last);
  for (let row = first; row <= last; row += 1) {
    const id = rows.at(row)?.task_id;
    if (id && (on || range)) ids.add(id);
    else if (id) ids.delete(id);
  }
  anchor = index;
  together(() => {
    all.value = false;
    picked.value = ids;
  });
}

export function selectAll() {
  all.value = true;
}

export function clear() {
  anchor = -1;
  together(() => {
    all.value = false;
    picked.value = new Set();
  });
}

/** The selection as parameters of an action. */
export const selectors = () => (all.value ? selectedBy(filter.value, batch.value.batch_id) : { task_ids: [...picked.value] });
