import { signal } from "@preact/signals";
import { PendingChanges } from "/static/executor/js/batch/pending.js";
import { equal, test } from "./harness.js";

const NONE = { status: [], priority: [], function: "", q: "" };

function pendingWith(filter, counts = {}, total = 10) {
  const batch = signal({ stats: { total_tasks: total }, request_counts: counts });
  const pending = new PendingChanges({ filter: signal({ ...NONE, ...filter }), batch });
  return { pending, batch };
}

test("without a filter only deleted tasks are pending", () => {
  const { pending } = pendingWith({});
  pending.reset(10);
  pending.add([[1, "r"], [2, "-"], [11, "q"]], () => true);
  equal(pending.count.value, 1);
});

test("a task that leaves the filter and returns is not pending", () => {
  const { pending } = pendingWith({ status: ["failed"] }, { failed: 1 });
  pending.reset(1);
  pending.add([[1, "q"]], (number) => number === 1);
  equal(pending.count.value, 1);
  pending.add([[1, "f"]], (number) => number === 1);
  equal(pending.count.value, 0);
});

test("pending counts include matching tasks that were never loaded", () => {
  const { pending, batch } = pendingWith({ status: ["failed"] }, { failed: 5 });
  pending.reset(5);
  batch.value = { ...batch.value, request_counts: { failed: 2 } };
  pending.add([], () => false);
  equal(pending.count.value, 3);
});

test("new tasks are pending in a list that is filtered by anything but status", () => {
  const { pending } = pendingWith({ q: "x" });
  pending.reset(2);
  pending.add([[10, "q"], [11, "q"], [11, "r"]], () => false);
  equal(pending.count.value, 1);
  pending.reset(3);
  equal(pending.count.value, 0);
});
