/** Tasks that entered or left the filtered list since it was read. They are counted on the "refresh" button. */
import { signal } from "@preact/signals";
import { CLEARED } from "../states.js";
import { statusOf } from "./change.js";
import { isFiltered } from "./task_filter.js";

export class PendingChanges {
  count = signal(0);
  #moved = new Set();
  #highest = 0;
  #listed = null;
  #filter;
  #batch;

  /** @param {{filter: object, batch: object}} signals of the filter and of the batch */
  constructor({ filter, batch }) {
    this.#filter = filter;
    this.#batch = batch;
  }

  /** The list was read. @param {?number} matching number of matching tasks at that time */
  reset(matching) {
    this.#moved.clear();
    this.#listed = matching;
    this.#highest = Math.max(this.#highest, this.#batch.value.stats.total_tasks);
    this.count.value = 0;
  }

  /** @param {import("../live/stream.js").Change[]} changes @param {(number: number) => boolean} isLoaded */
  add(changes, isLoaded) {
    const filter = this.#filter.value;
    for (const change of changes) {
      const [number] = change;
      const status = statusOf(change);
      if (status === CLEARED) {
        if (!isFiltered(filter) || isLoaded(number)) this.#moved.add(number);
      } else if (filter.status.length) {
        if (isLoaded(number) === filter.status.includes(status)) this.#moved.delete(number);
        else this.#moved.add(number);
      } else if (isFiltered(filter) && number > this.#highest && status === "queued") {
        this.#moved.add(number);
      }
      if (number > this.#highest) this.#highest = number;
    }
    this.count.value = Math.max(this.#moved.size, this.#netChange(filter));
  }

  /** Tasks that were never loaded leave the list unnoticed; the counters still give the difference. */
  #netChange({ status, ...others }) {
    if (!status.length || isFiltered({ status: [], ...others }) || this.#listed == null) return 0;
    const match = status.reduce((sum, name) => sum + this.#batch.value.request_counts[name], 0);
    return Math.abs(match - this.#listed);
  }
}
