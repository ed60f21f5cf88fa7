/** Updates the head of the page and its counters in place. */
import { effect } from "@preact/signals";
import { age, count, duration, moment, percent, wholeDuration } from "../formatting.js";
import { bind, bindBar } from "../live/bind.js";
import { path, rate, timeLeft } from "./rate.js";
import { batch, now } from "./state.js";

const head = document.getElementById("batch-head");
const summary = document.getElementById("summary");

export function startHeader() {
  effect(showState);
  effect(showCounts);
  effect(showRate);
}

function showState() {
  const { name, state, max_concurrent } = batch.value;
  bind(head, { name: name || "(no name)", state, max_concurrent });
  head.dataset.state = state;
  head.querySelector(".chip").dataset.state = state;
  for (const node of head.querySelectorAll("[data-when]")) node.hidden = !node.dataset.when.split(" ").includes(state);
}

function showCounts() {
  const { stats, request_counts: counts, max_concurrent } = batch.value;
  const values = {
    percent: percent(stats.progress_percentage),
    total: count(stats.total_tasks),
    average: duration(stats.average_task_time || null),
    retries: count(stats.retries),
    max_concurrent,
  };
  for (const [status, tasks] of Object.entries(counts)) values[status] = count(tasks);
  for (const [priority, tasks] of Object.entries(stats.queued_by_priority)) values[`waiting-${priority}`] = count(tasks);
  bind(summary, values);
  bindBar(summary, batch.value);
}

function showRate() {
  const left = timeLeft.value;
  const perSecond = rate.value;
  const started = batch.value.stats.start_time;
  bind(summary, {
    rate: perSecond == null ? "—" : `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)} / s`,
    eta: wholeDuration(left == null ? null : Math.ceil(left)),
    until: left == null ? "" : moment(now.value + left * 1000),
    started: started ? age(now.value - Date.parse(started)) : "—",
  });
  const spark = document.getElementById("spark");
  let line = spark.firstElementChild;
  if (!line) spark.append((line = document.createElementNS("http://www.w3.org/2000/svg", "path")));
  line.setAttribute("d", path.value);
}
