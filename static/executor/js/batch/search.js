/** The progress of a search that the server answers in parts, and the cursors at which its pages begin. */
import { signal } from "@preact/signals";

export class Search {
  /**
   * Tasks found, the number up to which the server looked, and whether more is being requested. Null for a list that is
   * not searched.
   * @type {import("@preact/signals").Signal<?{found: number, to: number, going: boolean}>}
   */
  state = signal(null);
  /** Page → the cursor at which it begins. */
  #cursors = new Map();
  /** The pages for which more parts are requested. */
  #unfinished = new Set();

  cursorOf(page) {
    return this.#cursors.get(page);
  }

  isUnfinished(page) {
    return this.#unfinished.has(page);
  }

  /** Assume a search until the first answer. */
  expect() {
    this.state.value = { found: 0, to: 0, going: true };
  }

  /** Forget the cursors: the list is read again, and the number of tasks before a place may have changed. */
  restart() {
    this.#cursors.clear();
    this.#unfinished.clear();
  }

  /** Set the number of matches to zero: the loaded rows are dropped. */
  clearFound() {
    if (this.state.value) this.state.value = { ...this.state.value, found: 0 };
  }

  /**
   * Take the server's answer for a page, which is now read up to index `end` of the list.
   * @param {boolean} full whether the page has all of its rows @returns {boolean} whether the next page begins elsewhere now
   */
  received(page, { searched_to: to, next_cursor: cursor }, end, full) {
    const searched = to != null;
    const more = searched && Boolean(cursor);
    if (more && !full) this.#unfinished.add(page);
    else this.#unfinished.delete(page);
    if (!searched && !page) this.state.value = null; // the first page decides whether the list is searched
    else if (searched || this.state.value) this.#update(end, to);
    return more && full && this.#setCursor(page + 1, cursor);
  }

  /** No further parts of this page are requested. */
  finished(page) {
    this.#unfinished.delete(page);
    if (this.state.value) this.#update();
  }

  #update(end = 0, to = null) {
    const known = this.state.value ?? { found: 0, to: 0 };
    this.state.value = { found: Math.max(end, known.found), to: to ?? known.to, going: this.#unfinished.size > 0 };
  }

  /** The cursors of later pages depend on this one. */
  #setCursor(page, cursor) {
    if (this.#cursors.get(page) === cursor) return false;
    for (const other of this.#cursors.keys()) if (other >= page) this.#cursors.delete(other);
    this.#cursors.set(page, cursor);
    return true;
  }
}
