/** The live page of a task, read again until the task is final. */
import { render } from "preact";
import { Status } from "../batch/cells.js";
import { Detail } from "../batch/detail.js";
import { html } from "../batch/html.js";
import { get } from "../http.js";
import { delay } from "../live/backoff.js";
import { isFinal } from "../states.js";

const POLL_INTERVAL = 1000;
const place = document.getElementById("task");
const head = document.getElementById("task-head");
const { details, ...island } = JSON.parse(document.getElementById("island").textContent);
let { task } = island;

function show() {
  render(html`<${Detail} task=${task} fields=${details} now=${Date.now()} />`, place);
  render(html`<${Status} status=${task.status} />`, head.querySelector("#task-status"));
  for (const form of head.querySelectorAll("[data-statuses]")) form.hidden = !form.dataset.statuses.split(" ").includes(task.status);
}

async function follow() {
  for (let failures = 0; !isFinal(task.status); ) {
    await new Promise((done) => setTimeout(done, failures ? delay(failures) : POLL_INTERVAL));
    if (document.hidden) continue;
    try {
      task = await get(`/api/tasks/${task.task_id}`);
      failures = 0;
      show();
    } catch (error) {
      if (error.status === 404) return location.reload(); // cleared: the reloaded page says so
      failures += 1;
    }
  }
}

place.replaceChildren();
head.querySelector("#task-status").replaceChildren();
show();
follow();
