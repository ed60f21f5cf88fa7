/** The table of workers, read again every two seconds while the tab is visible. */
import { megabytes } from "../formatting.js";
import { get } from "../http.js";
import { Sign } from "../live/sign.js";
import { showTimes } from "../times.js";

const POLL_INTERVAL = 2000;
const box = document.getElementById("workers");
const blank = document.getElementById("worker-row").content.firstElementChild;
const sign = new Sign(document.getElementById("sign"));

function draw(worker) {
  const row = blank.cloneNode(true);
  const put = (name, text) => (row.querySelector(`[data-live="${name}"]`).textContent = text);
  put("name", worker.name);
  put("place", `${worker.host} · ${worker.pid}`);
  put("state", worker.state);
  put("running", `${worker.running} / ${worker.concurrency}`);
  put("cpu", `${Math.round(worker.cpu_percent)} %`);
  put("memory", megabytes(worker.memory_bytes));
  put("queues", worker.queues);
  put("sandbox", worker.sandbox?.level ?? "");
  row.querySelector('[data-live="sandbox"]').title = worker.sandbox?.layers.join(", ") ?? "";
  row.querySelector(".chip").dataset.state = worker.state;
  Object.assign(row.querySelector("meter"), { max: worker.concurrency, value: worker.running });
  const [started, heartbeat] = row.querySelectorAll("time");
  started.dateTime = worker.started_at;
  heartbeat.dateTime = worker.heartbeat_at;
  return row;
}

async function refresh() {
  try {
    const { workers } = await get("/api/workers");
    box.querySelector("tbody").replaceChildren(...workers.map(draw));
    box.querySelector(".empty").hidden = workers.length > 0;
    showTimes(box);
    sign.set("open");
    sign.heard();
  } catch {
    sign.set("connecting");
  }
}

setInterval(() => document.hidden || refresh(), POLL_INTERVAL);
refresh();
