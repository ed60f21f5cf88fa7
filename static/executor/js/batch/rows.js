/** The matching tasks as a window over the server's list: pages are read as they come into view. */
import { batch as together, signal } from "@preact/signals";
import { get } from "../http.js";
import { changed } from "./change.js";
import { pending, settle, weigh } from "./pending.js";
import { batch, filter, filtered, island, query } from "./state.js";

const PAGE = 50;
const KEPT = 30; // pages
const AT_MOST = 1_000_000; // the server's last offset

/** Counts up whenever a row may look different. */
export const version = signal(0);
/** How many tasks match; null while nobody knows. */
export const matching = signal(island.matching);
/**
 * Where the server searches a part at a time: how many were found, the number up to which it looked, and whether it is
 * still asked for more. Null where it does not.
 * @type {import("@preact/signals").Signal<?{found: number, to: number, going: boolean}>}
 */
export const search = signal(null);
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
/** page → the cursor at which it begins, in a list that is searched */
let starts = new Map();
/** The pages for which the server is asked again and again. */
let searching = new Set();
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
    search.value = { found: 0, to: 0, going: true };
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
  searching = new Set();
  starts = new Map(); // what lies before a place may have changed
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
        searching.delete(page);
        if (search.value) showSearch();
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
  let cursor = starts.get(page);
  do {
    const parts = query(filter.value);
    parts.set("limit", PAGE - tasks.length);
    if (cursor) parts.set("cursor", cursor);
    else parts.set("offset", page * PAGE);
    const answer = await get(`${island.urls.tasks}?${parts}`);
    if (!wanted()) return;
    tasks = [...tasks, ...answer.tasks];
    cursor = answer.next_cursor;
    if (answer.searched_to != null && cursor && tasks.length < PAGE) searching.add(page);
    else searching.delete(page);
    together(() => take(page, tasks, answer));
  } while (searching.has(page));
}

/** What was read of a page so far. */
function take(page, tasks, answer) {
  const end = page * PAGE + tasks.length;
  const more = Boolean(answer.next_cursor);
  if (renewing) forget();
  keep(page, tasks);
  failure.value = "";
  if (!more && (tasks.length || !page)) inAll = end;
  const { searched_to: to } = answer;
  if (to != null && more && !searching.has(page)) startAt(page + 1, answer.next_cursor);
  if (to == null && !page) search.value = null; // from its beginning, a list is searched or it is not
  else if (to != null || search.value) showSearch(end, to);
  matching.value = answer.matching ?? inAll;
  if (renewing) settle(matching.value);
  renewing = false;
  measure(end, more, searching.has(page));
  for (const [changes, at] of during) patch(changes, at); // frames that overtook the answer
  version.value += 1;
}

function showSearch(end = 0, to = null) {
  const known = search.value ?? { found: 0, to: 0 };
  search.value = { found: Math.max(end, known.found), to: to ?? known.to, going: searching.size > 0 };
}

/** Where a page begins, the pages behind it follow. */
function startAt(page, cursor) {
  if (starts.get(page) === cursor) return;
  starts = new Map([...starts].filter(([other]) => other < page)).set(page, cursor);
  for (const other of pages.keys()) if (other >= page) stale.add(other);
}

function forget() {
  pages = new Map();
  places = new Map();
  stale = new Set();
  inAll = null;
  length.value = 0;
  if (search.value) search.value = { ...search.value, found: 0 };
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
