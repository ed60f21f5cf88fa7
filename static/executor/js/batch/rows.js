/** The matching tasks as a window over the server's list: pages are read as they come into view. */
import { batch as together, signal } from "@preact/signals";
import { get } from "../http.js";
import { changed } from "./change.js";
import { pending, settle, weigh } from "./pending.js";
import * as search from "./search.js";
import { batch, filter, filtered, island, query } from "./state.js";

const PAGE = 50;
const KEPT = 30; // pages
const AT_MOST = 1_000_000; // the server's last offset

/** Counts up whenever a row may look different. */
export const version = signal(0);
/** How many tasks match; null while nobody knows. */
export const matching = signal(island.matching);
/** How long the list is as far as is known. */
export const length = signal(0);
/** Why the list could not be read; the rows that are there stay. */
export const failure = signal("");

/** @type {Map<number, import("./state.js").Task[]>} */
let pages = new Map();
/** number → [page, place in it] */
let places = new Map();
let stale = new Set();
let reading = new Map();
let during = [];
let generation = 0;
let view = [0, 1];
/** Whether the next answer takes the place of everything that was read before. */
let renewing = false;
/** How many match where nobody counted, once the end was seen. */
let inAll = null;

/** The rows that the page was rendered with. */
export function seed() {
  settle(island.matching);
  if (island.whole) {
    if (island.offset % PAGE === 0) keep(island.offset / PAGE, island.tasks);
    measure(island.offset + island.tasks.length, island.tasks.length === PAGE);
  } else {
    reload(true);
    search.expect();
  }
}

export const at = (index) => pages.get(Math.floor(index / PAGE))?.[index % PAGE];

export const byNumber = (number) => {
  const place = places.get(number);
  return place && pages.get(place[0])?.[place[1]];
};

export const indexOf = (number) => {
  const place = places.get(number);
  return place ? place[0] * PAGE + place[1] : -1;
};

/** The rows from first to last are in view: read what is missing. @returns {Promise<void>} */
export async function want(first, last) {
  view = [Math.floor(first / PAGE), Math.floor(Math.max(first, last) / PAGE)];
  await show();
}

async function show() {
  const missing = [];
  for (let page = view[0]; page <= view[1]; page += 1) {
    if (page * PAGE >= Math.min(length.value, AT_MOST)) break;
    const short = (pages.get(page)?.length ?? 0) < Math.min(PAGE, length.value - page * PAGE);
    if (short || stale.has(page)) missing.push(reading.get(page) || read(page));
  }
  await Promise.all(missing);
}

/** Read the list anew; the rows stay as they are until the new ones are there. @param {boolean} [other] another filter */
export async function reload(other = false) {
  generation += 1;
  renewing = true;
  reading = new Map();
  search.restart();
  stale = new Set(pages.keys());
  if (other) view = [0, 0];
  const mine = generation;
  await read(view[0]);
  if (mine === generation) await show();
}

/** @param {import("../live/stream.js").Change[]} changes @param {string} at */
export function apply(changes, at) {
  if (reading.size) during.push([changes, at]);
  weigh(changes, (number) => places.has(number));
  patch(changes, at);
  if (!filtered.value) {
    matching.value = batch.value.stats.total_tasks;
    if (matching.value > length.value) length.value = matching.value;
  }
  version.value += 1;
}

function patch(changes, at) {
  for (const change of changes) {
    const place = places.get(change[0]);
    const page = place && pages.get(place[0]);
    if (page) page[place[1]] = changed(page[place[1]], change, at);
  }
}

function read(page) {
  const mine = generation;
  const work = fill(page, () => mine === generation)
    .catch((error) => {
      if (mine === generation) failure.value = error instanceof TypeError ? "The server cannot be reached." : error.message;
    })
    .finally(() => {
      if (mine === generation) {
        reading.delete(page);
        search.done(page);
      }
      if (!reading.size) during = [];
      version.value += 1;
    });
  reading.set(page, work);
  return work;
}

/** Read a page; where the server searches, part after part until the page is full or everything was looked at. */
async function fill(page, wanted) {
  let tasks = [];
  let cursor = search.cursorOf(page);
  do {
    const parts = query(filter.value);
    parts.set("limit", PAGE - tasks.length);
    if (cursor) parts.set("cursor", cursor);
    else parts.set("offset", page * PAGE);
    const answer = await get(`${island.urls.tasks}?${parts}`);
    if (!wanted()) return;
    tasks = [...tasks, ...answer.tasks];
    cursor = answer.next_cursor;
    together(() => take(page, tasks, answer));
  } while (search.goesOn(page));
}

/** What was read of a page so far. */
function take(page, tasks, answer) {
  const end = page * PAGE + tasks.length;
  const more = Boolean(answer.next_cursor);
  if (renewing) forget();
  keep(page, tasks);
  failure.value = "";
  if (!more && (tasks.length || !page)) inAll = end;
  if (search.heard(page, answer, end, tasks.length === PAGE)) {
    for (const other of pages.keys()) if (other > page) stale.add(other);
  }
  matching.value = answer.matching ?? inAll;
  if (renewing) settle(matching.value);
  renewing = false;
  measure(end, more, search.goesOn(page));
  for (const [changes, at] of during) patch(changes, at); // frames that overtook the answer
  version.value += 1;
}

function forget() {
  pages = new Map();
  places = new Map();
  stale = new Set();
  inAll = null;
  length.value = 0;
  search.forget();
}

function keep(page, tasks) {
  for (const task of pages.get(page) || []) places.delete(task.number);
  pages.set(page, tasks);
  stale.delete(page);
  tasks.forEach((task, index) => places.set(task.number, [page, index]));
  if (pages.size <= KEPT) return;
  const far = [...pages.keys()].sort((a, b) => Math.abs(b - view[0]) - Math.abs(a - view[0]))[0];
  for (const task of pages.get(far)) places.delete(task.number);
  pages.delete(far);
}

/** Where nobody counted, the list is as long as has been read, and one page longer if there is more to read. */
function measure(end, more, going = false) {
  const known = matching.value ?? (more ? Math.max(length.value, going ? end : end + PAGE) : end);
  length.value = Math.min(known, AT_MOST);
}

export { pending };
