import { fromAddress, isFiltered, isSame, selectedBy, toggleStatus, toQuery, toText } from "/static/executor/js/batch/task_filter.js";
import { equal, test } from "./harness.js";

const NONE = { status: [], priority: [], function: "", q: "" };
const ALL = { status: ["failed", "queued"], priority: ["high"], function: "simulate", q: "a&b, c" };

test("a filter can be written to the address and read back", () => {
  equal(toText(toQuery(ALL)), "status=failed,queued&priority=high&function=simulate&q=a%26b,+c");
  equal(fromAddress(`?${toText(toQuery(ALL))}&task=3`), ALL);
  equal(toText(toQuery(NONE)), "");
  equal(fromAddress(""), NONE);
});

test("any part of a filter makes the list filtered", () => {
  equal(isFiltered(NONE), false);
  for (const part of Object.keys(ALL)) equal(isFiltered({ ...NONE, [part]: ALL[part] }), true, part);
});

test("a status is toggled, and the empty status clears all", () => {
  equal(toggleStatus(NONE, "failed").status, ["failed"]);
  equal(toggleStatus(ALL, "failed").status, ["queued"]);
  equal(toggleStatus(ALL, ""), { ...ALL, status: [] });
});

test("filters are compared by their parts", () => {
  equal(isSame(ALL, structuredClone(ALL)), true);
  equal(isSame(ALL, { ...ALL, q: "" }), false);
});

test("parameters of an action contain only the given parts", () => {
  equal(selectedBy(NONE, "b"), { batch: "b" });
  equal(Object.keys(selectedBy(ALL, "b")).length, 5);
});
