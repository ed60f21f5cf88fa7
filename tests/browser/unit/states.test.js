import { countTasks, isFinal, statusOfLetter, toneOf } from "/static/executor/js/states.js";
import { equal, test } from "./harness.js";

test("letters of frames are statuses, and the letter of deleted tasks is cleared", () => {
  equal([..."qrcfx-"].map(statusOfLetter), ["queued", "running", "completed", "failed", "cancelled", "cleared"]);
});

test("final statuses and tones come from the registry", () => {
  equal(["queued", "running", "completed", "failed", "cancelled"].map(isFinal), [false, false, true, true, true]);
  equal(["failed", "cleared"].map(toneOf), ["failed", "cleared"]);
});

test("tasks are counted by whether their status is final", () => {
  const counts = { queued: 1, running: 2, completed: 4, failed: 8, cancelled: 16 };
  equal([countTasks(counts, true), countTasks(counts, false)], [28, 3]);
});
