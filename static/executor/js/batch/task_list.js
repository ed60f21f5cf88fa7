/** The matching tasks as a window over the server's list: pages are read as they come into view. */
import { batch as together, signal } from "@preact/signals";
import { PAGE, PageCache } from "./page_cache.js";
import { PendingChanges } from "./pending.js";
import { Search } from "./search.js";
import { isFiltered, toQuery } from "./task_filter.js";

const MAX_LENGTH = 1_000_000; // the largest offset that the server accepts

export class TaskList {
  /** Increased whenever a row may look different. */
  version = signal(0);
  /** How many tasks match; null while that is not known. */
  matching = signal(null);
  /** Length of the list as far as it is known. */
  length = signal(0);
  /** Why the list could not be read; loaded rows stay. */
  failure = signal("");
  search = new Search();
  pending;

  #source;
  #cache = new PageCache();
  #reading = new Map();
  /** Frames that arrived while pages were being read: an answer may be older than them. */
  #frames = [];
  #generation = 0;
  #view = [0, 1];
  /** Whether the next answer replaces everything that was read before. */
  #replacing = false;
  /** How many match, known from the end of a list that the server did not count. */
  #total = null;

  /**
   * @param {{fetchPage: (query: URLSearchParams) => Promise<object>, filter: object, batch: object}} source reads a page
   *   of the list; `filter` and `batch` are signals
   */
  constructor(source) {
    this.#source = source;
    this.pending = new PendingChanges(source);
  }

  /** Start with the tasks of the served page, if it begins on a page of ours; else read. */
  start({ tasks, offset, matching, whole }) {
    this.matching.value = matching;
    this.pending.reset(matching);
    if (whole) {
      if (offset % PAGE === 0) this.#cache.put(offset / PAGE, tasks, this.#view[0]);
      this.#measure(offset + tasks.length, tasks.length === PAGE);
    } else {
      this.reload(true);
      this.search.expect();
    }
  }

  /** @param {number} index @returns {?import("./state.js").Task} undefined while it is not loaded */
  at(index) {
    return this.#cache.at(index);
  }

  byNumber(number) {
    return this.#cache.byNumber(number);
  }

  indexOf(number) {
    return this.#cache.indexOf(number);
  }

  /** Read the missing rows between first and last, which are in view. @returns {Promise<void>} */
  async show(first, last) {
    this.#view = [Math.floor(first / PAGE), Math.floor(Math.max(first, last) / PAGE)];
    await this.#readMissing();
  }

  /** Read the list again; the rows stay until the new ones arrive. @param {boolean} [fromStart] for another filter */
  async reload(fromStart = false) {
    this.#generation += 1;
    this.#replacing = true;
    this.#reading = new Map();
    this.search.restart();
    this.#cache.markStale();
    if (fromStart) this.#view = [0, 0];
    const generation = this.#generation;
    await this.#read(this.#view[0]);
    if (generation === this.#generation) await this.#readMissing();
  }

  /** @param {import("../live/stream.js").Change[]} changes @param {string} at */
  apply(changes, at) {
    if (this.#reading.size) this.#frames.push([changes, at]);
    this.pending.add(changes, (number) => this.#cache.has(number));
    this.#cache.patch(changes, at);
    if (!isFiltered(this.#source.filter.value)) {
      this.matching.value = this.#source.batch.value.stats.total_tasks;
      if (this.matching.value > this.length.value) this.length.value = this.matching.value;
    }
    this.version.value += 1;
  }

  async #readMissing() {
    const reads = [];
    for (let page = this.#view[0]; page <= this.#view[1]; page += 1) {
      if (page * PAGE >= Math.min(this.length.value, MAX_LENGTH)) break;
      if (this.#cache.isMissing(page, this.length.value)) reads.push(this.#reading.get(page) || this.#read(page));
    }
    await Promise.all(reads);
  }

  #read(page) {
    const generation = this.#generation;
    const isCurrent = () => generation === this.#generation;
    const work = this.#fill(page, isCurrent)
      .catch((error) => {
        if (isCurrent()) this.failure.value = error instanceof TypeError ? "The server cannot be reached." : error.message;
      })
      .finally(() => {
        if (isCurrent()) {
          this.#reading.delete(page);
          this.search.finished(page);
        }
        if (!this.#reading.size) this.#frames = [];
        this.version.value += 1;
      });
    this.#reading.set(page, work);
    return work;
  }

  /** Read a page. A search is answered in parts: request more until the page is full or the search ends. */
  async #fill(page, isCurrent) {
    let tasks = [];
    let cursor = this.search.cursorOf(page);
    do {
      const query = toQuery(this.#source.filter.value);
      query.set("limit", PAGE - tasks.length);
      if (cursor) query.set("cursor", cursor);
      else query.set("offset", page * PAGE);
      const answer = await this.#source.fetchPage(query);
      if (!isCurrent()) return;
      tasks = [...tasks, ...answer.tasks];
      cursor = answer.next_cursor;
      together(() => this.#take(page, tasks, answer));
    } while (this.search.isUnfinished(page));
  }

  /** Take the part of a page that was read so far. */
  #take(page, tasks, answer) {
    const end = page * PAGE + tasks.length;
    const more = Boolean(answer.next_cursor);
    if (this.#replacing) this.#clear();
    this.#cache.put(page, tasks, this.#view[0]);
    this.failure.value = "";
    if (!more && (tasks.length || !page)) this.#total = end;
    if (this.search.received(page, answer, end, tasks.length === PAGE)) this.#cache.markStale(page);
    this.matching.value = answer.matching ?? this.#total;
    if (this.#replacing) this.pending.reset(this.matching.value);
    this.#replacing = false;
    this.#measure(end, more, this.search.isUnfinished(page));
    for (const [changes, at] of this.#frames) this.#cache.patch(changes, at);
    this.version.value += 1;
  }

  #clear() {
    this.#cache.clear();
    this.#total = null;
    this.length.value = 0;
    this.search.clearFound();
  }

  /** Without a count, the list is as long as was read, and a page longer if there is more. */
  #measure(end, more, unfinished = false) {
    const known = this.matching.value ?? (more ? Math.max(this.length.value, unfinished ? end : end + PAGE) : end);
    this.length.value = Math.min(known, MAX_LENGTH);
  }
}
