/** The head of the page and its counters, kept true in place. */
import { effect } from "@preact/signals";
import { bind, bindBar } from "../live/bind.js";
import { ago, moment, percent, seconds, thousands } from "../words.js";
import { path, rate, timeLeft } from "./rate.js";
import { batch, now } from "./state.js";

const head = document.getElementById("batch-head");
const summary = document.getElementById("summary");

export function startHeader() {
  effect(showState);
  effect(showCounts);
  effect(showPace);
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
    total: thousands(stats.total_tasks),
    average: stats.average_task_time ? seconds(stats.average_task_time) : "—",
    retries: thousands(stats.retries),
    max_concurrent,
  };
  for (const [status, count] of Object.entries(counts)) values[status] = thousands(count);
  for (const [word, count] of Object.entries(stats.queued_by_priority)) values[`waiting-${word}`] = thousands(count);
  bind(summary, values);
  bindBar(summary, batch.value);
}

function showPace() {
  const left = timeLeft.value;
  const pace = rate.value;
  const started = batch.value.stats.start_time;
  bind(summary, {
    rate: pace == null ? "—" : `${pace < 10 ? pace.toFixed(1) : Math.round(pace)} / s`,
    eta: left == null ? "—" : seconds(Math.ceil(left)).replace(".0", ""),
    until: left == null ? "" : moment(now.value + left * 1000),
    started: started ? ago(now.value - Date.parse(started)) : "—",
  });
  const spark = document.getElementById("spark");
  let line = spark.firstElementChild;
  if (!line) spark.append((line = document.createElementNS("http://www.w3.org/2000/svg", "path")));
  line.setAttribute("d", path.value);
}
