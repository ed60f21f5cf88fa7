import { applyChange, statusOf } from "/static/executor/js/batch/change.js";
import { equal, test } from "./harness.js";

const AT = "2026-01-02T03:04:05.000Z";
const TASK = { task_id: "t", number: 7, name: "one", status: "queued", attempt: 0, error: null, progress: null };
const STARTED = Date.parse("2026-01-02T03:04:04.000Z");

test("a claim makes a task running with worker and start", () => {
  const task = applyChange(TASK, [7, "r", 1, "w-1", STARTED, null, null, null], AT);
  equal([task.status, task.attempt, task.worker, task.started_at], ["running", 1, "w-1", "2026-01-02T03:04:04.000Z"]);
  equal([task.name, task === TASK, TASK.status], ["one", false, "queued"]);
});

test("a failure with retries left is queued until its next attempt", () => {
  const task = applyChange({ ...TASK, status: "running", progress: [1, 2, ""] }, [7, "q", 1, null, null, 250, 4000, "it broke"], AT);
  equal([task.status, task.run_after, task.error, task.progress], ["queued", "2026-01-02T03:04:09.000Z", "it broke", null]);
  equal(task.execution_time, 0.25);
});

test("progress stays only while a task runs", () => {
  equal(applyChange(TASK, [7, "r", 1, "w", STARTED, null, null, null, [3, 10, "x"]], AT).progress, [3, 10, "x"]);
  equal(applyChange(TASK, [7, "c", 1, "w", STARTED, 5, null, null, [3, 10, "x"]], AT).progress, null);
});

test("a deleted task keeps its last values", () => {
  const task = applyChange({ ...TASK, error: "it broke" }, [7, "-"], AT);
  equal([task.status, task.error, task.attempt], ["cleared", "it broke", 0]);
  equal(statusOf([7, "-"]), "cleared");
});

test("the number of an uncharged attempt is not negative", () => {
  equal(applyChange(TASK, [7, "q", -1, null, null, null, null, null], AT).attempt, 0);
});
