/** The loaded pages of the task list. */
import { applyChange } from "./change.js";

export const PAGE = 50; // tasks
const MAX_PAGES = 30;

export class PageCache {
  /** @type {Map<number, import("./state.js").Task[]>} */
  #pages = new Map();
  /** Number of a task → [page, index in it]. */
  #places = new Map();
  #stale = new Set();

  /** @param {number} index in the list */
  at(index) {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  has(number) {
    return this.#places.has(number);
  }

  byNumber(number) {
    const place = this.#places.get(number);
    return place && this.#pages.get(place[0])?.[place[1]];
  }

  indexOf(number) {
    const place = this.#places.get(number);
    return place ? place[0] * PAGE + place[1] : -1;
  }

  /** Whether a page must be read again in a list of this length. */
  isMissing(page, length) {
    return this.#stale.has(page) || (this.#pages.get(page)?.length ?? 0) < Math.min(PAGE, length - page * PAGE);
  }

  /** Keep a page; of too many pages the farthest from page `center` is dropped. */
  put(page, tasks, center) {
    this.#drop(page);
    this.#pages.set(page, tasks);
    tasks.forEach((task, index) => this.#places.set(task.number, [page, index]));
    if (this.#pages.size > MAX_PAGES) this.#drop(this.#farthest(center));
  }

  /** @param {import("../live/stream.js").Change[]} changes @param {string} at */
  patch(changes, at) {
    for (const change of changes) {
      const place = this.#places.get(change[0]);
      const page = place && this.#pages.get(place[0]);
      if (page) page[place[1]] = applyChange(page[place[1]], change, at);
    }
  }

  /** Mark the pages after this one to be read again; they are shown until then. */
  markStale(after = -1) {
    for (const page of this.#pages.keys()) if (page > after) this.#stale.add(page);
  }

  clear() {
    this.#pages.clear();
    this.#places.clear();
    this.#stale.clear();
  }

  #drop(page) {
    for (const task of this.#pages.get(page) || []) this.#places.delete(task.number);
    this.#pages.delete(page);
    this.#stale.delete(page);
  }

  #farthest(center) {
    return [...this.#pages.keys()].reduce((far, page) => (Math.abs(page - center) > Math.abs(far - center) ? page : far));
  }
}
