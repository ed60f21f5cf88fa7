import { Search } from "/static/executor/js/batch/search.js";
import { equal, test } from "./harness.js";

const part = (to, cursor) => ({ searched_to: to, next_cursor: cursor });

test("a search continues until its page is full or the list ends", () => {
  const search = new Search();
  search.received(0, part(25000, "25000"), 1, false);
  equal(search.state.value, { found: 1, to: 25000, going: true });
  equal(search.isUnfinished(0), true);
  search.received(0, part(30000, null), 2, false);
  equal(search.state.value, { found: 2, to: 30000, going: false });
});

test("a full page has the cursor of the next page", () => {
  const search = new Search();
  equal(search.received(0, part(900, "900"), 50, true), true);
  equal([search.cursorOf(1), search.isUnfinished(0)], ["900", false]);
  equal(search.received(0, part(900, "900"), 50, true), false, "the same cursor again");
});

test("a page with another start invalidates later cursors", () => {
  const search = new Search();
  search.received(0, part(900, "900"), 50, true);
  search.received(1, part(1800, "1800"), 100, true);
  equal(search.received(0, part(950, "950"), 50, true), true);
  equal([search.cursorOf(1), search.cursorOf(2)], ["950", undefined]);
});

test("the first page decides whether a list is searched", () => {
  const search = new Search();
  search.expect();
  search.received(0, part(null, null), 3, false);
  equal(search.state.value, null);
});

test("a failed request ends the search", () => {
  const search = new Search();
  search.received(0, part(25000, "25000"), 1, false);
  search.finished(0);
  equal(search.state.value.going, false);
});
