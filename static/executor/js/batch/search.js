/** A list that the server searches a part at a time: how far that is, and where its pages begin. */
import { signal } from "@preact/signals";

/**
 * How many tasks were found, the number up to which the server looked, and whether it is still asked for more. Null
 * where the list is not searched.
 * @type {import("@preact/signals").Signal<?{found: number, to: number, going: boolean}>}
 */
export const search = signal(null);

/** page → the cursor at which it begins */
let starts = new Map();
/** The pages for which the server is asked again and again. */
let unfinished = new Set();

export const cursorOf = (page) => starts.get(page);
export const goesOn = (page) => unfinished.has(page);

/** A list that has not been read yet may be searched. */
export function expect() {
  search.value = { found: 0, to: 0, going: true };
}

/** The list is read anew: what lies before a place may have changed. */
export function restart() {
  starts = new Map();
  unfinished = new Set();
}

/** The rows that were found are gone. */
export function forget() {
  if (search.value) search.value = { ...search.value, found: 0 };
}

/**
 * The server answered for a page, which is now read up to the place `end` of the list.
 * @param {boolean} full whether the page has all of its rows @returns {boolean} whether the next page begins elsewhere now
 */
export function heard(page, answer, end, full) {
  const { searched_to: to, next_cursor: cursor } = answer;
  const searched = to != null;
  const more = searched && Boolean(cursor);
  if (more && !full) unfinished.add(page);
  else unfinished.delete(page);
  if (!searched && !page) search.value = null; // from its beginning, a list is searched or it is not
  else if (searched || search.value) show(end, to);
  return more && full && begins(page + 1, cursor);
}

/** Nobody asks for more of this page. */
export function done(page) {
  unfinished.delete(page);
  if (search.value) show();
}

function show(end = 0, to = null) {
  const known = search.value ?? { found: 0, to: 0 };
  search.value = { found: Math.max(end, known.found), to: to ?? known.to, going: unfinished.size > 0 };
}

/** Where a page begins, the pages behind it follow. */
function begins(page, cursor) {
  if (starts.get(page) === cursor) return false;
  starts = new Map([...starts].filter(([other]) => other < page)).set(page, cursor);
  return true;
}
