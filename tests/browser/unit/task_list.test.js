import { signal } from "@preact/signals";
import { TaskList } from "/static/executor/js/batch/task_list.js";
import { deferred, equal, test, until } from "./harness.js";

const AT = "2026-01-02T03:04:05.000Z";
const NONE = { status: [], priority: [], function: "", q: "" };
const tasks = (first, length) => Array.from({ length }, (_, index) => ({ number: first + index, status: "queued" }));

/** A list over a fake server: `answer(query)` returns its answers, `queries` are the requests. */
function listOver(answer, { filter = NONE, total = 120 } = {}) {
  const queries = [];
  const source = {
    fetchPage: (query) => {
      queries.push(query.toString());
      return answer(query);
    },
    filter: signal(filter),
    batch: signal({ stats: { total_tasks: total }, request_counts: {} }),
  };
  return { list: new TaskList(source), queries, ...source };
}

const pageOf = async (query) => {
  const offset = Number(query.get("offset"));
  const length = Math.min(50, 120 - offset);
  return { tasks: tasks(offset + 1, length), matching: 120, next_cursor: offset + length < 120 ? "more" : null };
};

const SERVED = { tasks: tasks(1, 50), offset: 0, matching: 120, whole: true };

test("a list starts with the served tasks and reads pages in view", async () => {
  const { list, queries } = listOver(pageOf);
  list.start(SERVED);
  equal([list.length.value, list.at(0).number, list.at(50), queries.length], [120, 1, undefined, 0]);
  await list.show(40, 60);
  equal([list.at(50).number, queries], [51, ["limit=50&offset=50"]]);
  await list.show(40, 60);
  equal(queries.length, 1, "a loaded page is not read again");
});

test("a page is requested once until its response arrives", async () => {
  const answer = deferred();
  const { list, queries } = listOver(() => answer.promise);
  list.start(SERVED);
  const both = [list.show(50, 60), list.show(50, 60)];
  answer.resolve(await pageOf(new URLSearchParams("offset=50")));
  await Promise.all(both);
  equal(queries.length, 1);
});

test("frames that arrive before an older response take precedence", async () => {
  const answer = deferred();
  const { list } = listOver(() => answer.promise);
  list.start(SERVED);
  const reading = list.show(50, 60);
  list.apply([[51, "r", 1, "w"]], AT);
  answer.resolve(await pageOf(new URLSearchParams("offset=50")));
  await reading;
  equal([list.byNumber(51).status, list.byNumber(52).status], ["running", "queued"]);
});

test("a response for a former filter is ignored", async () => {
  const answers = [deferred(), deferred()];
  let request = 0;
  const { list, filter } = listOver(() => answers[request++].promise);
  list.start({ ...SERVED, tasks: [], matching: 0 });
  const former = list.reload(true);
  filter.value = { ...NONE, q: "x" };
  const reading = list.reload(true);
  answers[1].resolve({ tasks: tasks(7, 1), matching: 1, next_cursor: null });
  await reading;
  answers[0].resolve({ tasks: tasks(1, 50), matching: 50, next_cursor: null });
  await former;
  equal([list.length.value, list.at(0).number], [1, 7]);
});

test("rows stay until a reloaded list arrives, and when it cannot be read", async () => {
  const answer = deferred();
  const { list } = listOver(() => answer.promise);
  list.start(SERVED);
  const reading = list.reload();
  equal(list.at(0).number, 1);
  answer.reject(new TypeError("offline"));
  await reading;
  equal([list.at(0).number, list.failure.value], [1, "The server cannot be reached."]);
});

test("a failure is cleared by the next response", async () => {
  let fails = true;
  const { list } = listOver((query) => (fails ? Promise.reject(new Error("broken")) : pageOf(query)));
  list.start(SERVED);
  await list.reload();
  equal(list.failure.value, "broken");
  fails = false;
  await list.reload();
  equal([list.failure.value, list.length.value], ["", 120]);
});

test("the list grows with the batch without a filter", () => {
  const { list, batch } = listOver(pageOf);
  list.start(SERVED);
  batch.value = { ...batch.value, stats: { total_tasks: 121 } };
  list.apply([[121, "q", 0]], AT);
  equal([list.length.value, list.matching.value], [121, 121]);
});

test("a search is requested until its page is full", async () => {
  const parts = [
    { tasks: tasks(5, 1), searched_to: 100, next_cursor: "100" },
    { tasks: tasks(150, 1), searched_to: 200, next_cursor: "200" },
    { tasks: [], searched_to: 250, next_cursor: null },
  ];
  const { list, queries } = listOver(async () => parts.shift(), { filter: { ...NONE, q: "x" } });
  list.start({ tasks: [], offset: 0, matching: null, whole: false });
  equal(list.search.state.value.going, true);
  await until(() => !list.search.state.value.going);
  equal([list.length.value, list.matching.value, list.indexOf(150)], [2, 2, 1]);
  equal(queries, ["q=x&limit=50&offset=0", "q=x&limit=49&cursor=100", "q=x&limit=48&cursor=200"]);
  equal(list.search.state.value, { found: 2, to: 250, going: false });
});

test("the length of an uncounted list is the part read plus a page", async () => {
  const { list } = listOver(async () => ({ tasks: tasks(1, 50), matching: null, next_cursor: "50" }), { filter: { ...NONE, q: "x" } });
  list.start({ tasks: [], offset: 0, matching: null, whole: false });
  await until(() => list.length.value > 0);
  equal([list.length.value, list.matching.value], [100, null]);
});
