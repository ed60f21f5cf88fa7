import { PAGE, PageCache } from "/static/executor/js/batch/page_cache.js";
import { equal, test } from "./harness.js";

const AT = "2026-01-02T03:04:05.000Z";
const tasks = (page, length = PAGE) => Array.from({ length }, (_, index) => ({ number: page * PAGE + index + 1, status: "queued" }));

test("tasks are found by index and by number", () => {
  const cache = new PageCache();
  cache.put(2, tasks(2), 2);
  equal([cache.at(101).number, cache.byNumber(102).number, cache.indexOf(102)], [102, 102, 101]);
  equal([cache.at(0), cache.byNumber(1), cache.indexOf(1), cache.has(1)], [undefined, undefined, -1, false]);
});

test("a page is missing when it is short, stale or not loaded", () => {
  const cache = new PageCache();
  equal(cache.isMissing(0, 10), true, "not loaded");
  cache.put(0, tasks(0, 10), 0);
  equal(cache.isMissing(0, 10), false);
  equal(cache.isMissing(0, 11), true, "a task was added");
  cache.markStale();
  equal(cache.isMissing(0, 10), true, "stale");
  cache.put(0, tasks(0, 10), 0);
  equal(cache.isMissing(0, 10), false, "read again");
});

test("only pages after a given one become stale", () => {
  const cache = new PageCache();
  for (const page of [0, 1, 2]) cache.put(page, tasks(page), 0);
  cache.markStale(1);
  equal([0, 1, 2].map((page) => cache.isMissing(page, 3 * PAGE)), [false, false, true]);
});

test("the page farthest from the view is evicted", () => {
  const cache = new PageCache();
  for (let page = 0; page <= 30; page += 1) cache.put(page, tasks(page), 30);
  equal([cache.has(1), cache.has(PAGE + 1), cache.has(30 * PAGE + 1)], [false, true, true]);
});

test("a replaced page removes its former tasks", () => {
  const cache = new PageCache();
  cache.put(0, tasks(0), 0);
  cache.put(0, tasks(1), 0);
  equal([cache.has(1), cache.byNumber(51).number, cache.indexOf(51)], [false, 51, 0]);
});

test("changes are applied to loaded tasks only", () => {
  const cache = new PageCache();
  cache.put(0, tasks(0), 0);
  cache.patch([[1, "x", 0], [99, "x", 0]], AT);
  equal([cache.at(0).status, cache.at(1).status], ["cancelled", "queued"]);
});
