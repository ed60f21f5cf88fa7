/** One sentence of progress for screen readers, at most every ten seconds. */
import { effect } from "@preact/signals";
import { percent, seconds } from "../words.js";
import { timeLeft } from "./rate.js";
import { batch } from "./state.js";

const PAUSE = 10_000;

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
    }, PAUSE);
  });
}

function sentence() {
  const { stats, request_counts: counts, state } = batch.value;
  const words = [`${state}, ${percent(stats.progress_percentage)}`];
  if (counts.failed) words.push(`${counts.failed} failed`);
  if (timeLeft.peek()) words.push(`about ${seconds(timeLeft.peek())} left`);
  return words.join(", ");
}
