/** Tasks ended a second, from the counters as they come; for the rate, the sparkline and the time left. */
import { computed, signal } from "@preact/signals";
import { batch, island, now } from "./state.js";

const KEPT = 60_000;
const OVER = 10_000;

/** @type {import("@preact/signals").Signal<[number, number][]>} time and tasks ended until then */
const samples = signal([]);
/** The same of before the page was opened. */
const before = island.pace.map(([age, count]) => [Date.now() - age * 1000, count]);

/** Since when it runs, where that was seen. */
let since = 0;
/** When the batch was told as it is. */
let told = Date.now();
let last = island.batch;

const runs = ({ state }) => state === "running" || state === "stopping";

const ended = (counts) => counts.completed + counts.failed + counts.cancelled;

/** @param {object} shown the batch as it is now */
export function sample(shown) {
  const time = Date.now();
  if (!runs(shown)) since = 0;
  else if (samples.peek().length && !runs(last)) since = time;
  last = shown;
  told = time;
  const kept = samples.peek().filter(([then]) => time - then < KEPT);
  samples.value = [...kept, [time, ended(shown.request_counts)]];
}

/** Tasks a second over the last ten seconds; null while nothing is known. */
export const rate = computed(() => {
  now.value;
  const list = [...before, ...samples.value];
  if (!runs(batch.value)) return null;
  const time = Date.now();
  const first = list.findLast(([then]) => time - then >= OVER) || list[0];
  const span = first ? (time - Math.max(first[0], since)) / 1000 : 0;
  // Of the samples each change is one: what came after a long pause came just now. Before them there are gaps.
  const over = before.includes(first) ? span : Math.min(span, OVER / 1000 + 2);
  return span < 1.5 ? null : Math.max(0, (list.at(-1)[1] - first[1]) / over);
});

/** Seconds until everything is done: as the server reckons, else from the rate. Null when it should be done by now. */
export const timeLeft = computed(() => {
  now.value;
  const { stats, request_counts: counts, state } = batch.value;
  if (state !== "running") return null;
  if (stats.estimated_time_remaining != null) {
    const left = stats.estimated_time_remaining - (Date.now() - told) / 1000;
    return left > 0 ? left : null;
  }
  return rate.value ? (counts.queued + counts.running) / rate.value : null;
});

/** The last minute as the path of a 60 × 16 sparkline; empty while there is too little. */
export const path = computed(() => {
  now.value;
  const time = Date.now();
  const buckets = new Array(30).fill(0);
  const list = samples.value;
  for (let at = 1; at < list.length; at += 1) {
    const place = 29 - Math.floor((time - list[at][0]) / 2000);
    if (place >= 0) buckets[place] += Math.max(0, list[at][1] - list[at - 1][1]);
  }
  const most = Math.max(...buckets);
  if (!most) return "";
  return buckets.map((value, at) => `${at ? "L" : "M"}${((at * 60) / 29).toFixed(1)} ${(15 - (14 * value) / most).toFixed(1)}`).join("");
});
