/** The live list of batches: rows are updated in place, new ones are inserted at the top. */
import { count, percent } from "../formatting.js";
import { bind, bindBar } from "../live/bind.js";
import { Sign } from "../live/sign.js";
import { Socket } from "../live/socket.js";
import { showTimes } from "../times.js";

const body = document.querySelector("#batches tbody");
const blank = document.getElementById("batch-row").content;
const sign = new Sign(document.getElementById("sign"));
const rows = new Map([...body.rows].map((row) => [row.dataset.batch, row]));
const updates = new Map();

function show(batch) {
  const row = rows.get(batch.batch_id) || added(batch);
  const { stats, request_counts: counts } = batch;
  bind(row, {
    name: batch.name || "(no name)",
    owner: batch.owner,
    state: batch.state,
    percent: percent(stats.progress_percentage),
    total: count(stats.total_tasks),
    running: count(counts.running),
    failed: count(counts.failed),
  });
  row.querySelector(".chip").dataset.state = batch.state;
  row.querySelector(".c-failed").toggleAttribute("data-some", counts.failed > 0);
  bindBar(row, batch);
}

function added(batch) {
  const row = blank.firstElementChild.cloneNode(true);
  row.dataset.batch = batch.batch_id;
  row.querySelector("a").href = `/batches/${batch.batch_id}/`;
  row.querySelector("time").dateTime = batch.created_at;
  const older = [...body.rows].find((other) => other.querySelector("time").dateTime < batch.created_at);
  body.insertBefore(row, older || null);
  rows.set(batch.batch_id, row);
  document.getElementById("empty")?.remove();
  return row;
}

function paint() {
  const batches = [...updates.values()];
  updates.clear();
  batches.forEach(show);
  showTimes(body);
}

const socket = new Socket(() => "/ws/batches", {
  open() {
    sign.set("open");
    sign.heard();
  },
  message(message) {
    if (message.t === "batches") {
      if (!updates.size) requestAnimationFrame(paint);
      for (const batch of message.batches) updates.set(batch.batch_id, batch);
    }
    socket.send({ ack: 0 });
    sign.heard();
  },
  lost: () => sign.set("connecting"),
  refused: (reason) => sign.set("closed", reason),
});
socket.connect();
