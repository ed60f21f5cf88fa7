/** Finished tasks per second, from the counters: for the rate, the sparkline and the time left. */
import { computed, signal } from "@preact/signals";
import { countTasks } from "../states.js";
import { batch, island, now } from "./state.js";

const KEPT = 60_000; // milliseconds of samples
const WINDOW = 10_000; // milliseconds that the rate is an average of
const BUCKETS = 30; // of the sparkline

/** @type {import("@preact/signals").Signal<[number, number][]>} time, and finished tasks until then */
const samples = signal([]);
/** Samples from before the page was opened. */
const earlier = island.pace.map(([age, count]) => [Date.now() - age * 1000, count]);

let runningSince = 0;
let updatedAt = Date.now();
let last = island.batch;

const isRunning = ({ state }) => state === "running" || state === "stopping";

/** @param {object} current the batch as it is now */
export function sample(current) {
  const time = Date.now();
  if (!isRunning(current)) runningSince = 0;
  else if (samples.peek().length && !isRunning(last)) runningSince = time;
  last = current;
  updatedAt = time;
  const kept = samples.peek().filter(([then]) => time - then < KEPT);
  samples.value = [...kept, [time, countTasks(current.request_counts, true)]];
}

/** Tasks per second over the last ten seconds; null while it is not known. */
export const rate = computed(() => {
  now.value;
  const list = [...earlier, ...samples.value];
  if (!isRunning(batch.value)) return null;
  const time = Date.now();
  const first = list.findLast(([then]) => time - then >= WINDOW) || list[0];
  const span = first ? (time - Math.max(first[0], runningSince)) / 1000 : 0;
  // The samples of this page are one for each change: a long pause between two is idle time, not a gap in the samples.
  const over = earlier.includes(first) ? span : Math.min(span, WINDOW / 1000 + 2);
  return span < 1.5 ? null : Math.max(0, (list.at(-1)[1] - first[1]) / over);
});

/** Seconds until everything is done: the server's estimate, else from the rate. Null when it is unknown or overdue. */
export const timeLeft = computed(() => {
  now.value;
  const { stats, request_counts: counts, state } = batch.value;
  if (state !== "running") return null;
  if (stats.estimated_time_remaining != null) {
    const left = stats.estimated_time_remaining - (Date.now() - updatedAt) / 1000;
    return left > 0 ? left : null;
  }
  return rate.value ? countTasks(counts, false) / rate.value : null;
});

/** The last minute as the path of a 60 × 16 sparkline; empty without finished tasks. */
export const path = computed(() => {
  now.value;
  const time = Date.now();
  const buckets = new Array(BUCKETS).fill(0);
  const list = samples.value;
  for (let index = 1; index < list.length; index += 1) {
    const bucket = BUCKETS - 1 - Math.floor((time - list[index][0]) / (KEPT / BUCKETS));
    if (bucket >= 0) buckets[bucket] += Math.max(0, list[index][1] - list[index - 1][1]);
  }
  const most = Math.max(...buckets);
  if (!most) return "";
  const point = (value, index) => `${((index * 60) / (BUCKETS - 1)).toFixed(1)} ${(15 - (14 * value) / most).toFixed(1)}`;
  return buckets.map((value, index) => `${index ? "L" : "M"}${point(value, index)}`).join("");
});
