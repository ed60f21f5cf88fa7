/** Announces progress to screen readers, at most every ten seconds. */
import { effect } from "@preact/signals";
import { percent, wholeDuration } from "../formatting.js";
import { timeLeft } from "./rate.js";
import { batch } from "./state.js";

const MIN_INTERVAL = 10_000;

export function startAnnouncer() {
  const node = document.getElementById("announcer");
  let last = sentence();
  let timer = 0;
  effect(() => {
    if (sentence() === last || timer) return;
    timer = setTimeout(() => {
      timer = 0;
      last = sentence();
      node.textContent = last;
    }, MIN_INTERVAL);
  });
}

function sentence() {
  const { stats, request_counts: counts, state } = batch.value;
  const parts = [`${state}, ${percent(stats.progress_percentage)}`];
  if (counts.failed) parts.push(`${counts.failed} failed`);
  if (timeLeft.peek()) parts.push(`about ${wholeDuration(timeLeft.peek())} left`);
  return parts.join(", ");
}
