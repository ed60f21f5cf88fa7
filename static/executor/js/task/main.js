/** The page of a task, live: what the drawer shows, read anew while the task is not over. */
import { render } from "preact";
import { Detail } from "../batch/detail.js";
import { html } from "../batch/html.js";
import { get } from "../http.js";
import { delay } from "../live/backoff.js";

const EVERY = 1000;
const OVER = ["completed", "failed", "cancelled"];
const place = document.getElementById("task");
const head = document.getElementById("task-head");
let task = JSON.parse(document.getElementById("island").textContent);

function show() {
  render(html`<${Detail} task=${task} now=${Date.now()} />`, place);
  const status = head.querySelector(".status");
  status.dataset.status = task.status;
  status.textContent = task.status;
  for (const form of head.querySelectorAll("[data-when]")) form.hidden = !form.dataset.when.split(" ").includes(task.status);
}

async function follow() {
  for (let failures = 0; !OVER.includes(task.status); ) {
    await new Promise((done) => setTimeout(done, failures ? delay(failures) : EVERY));
    if (document.hidden) continue;
    try {
      task = await get(`/api/tasks/${task.task_id}`);
      failures = 0;
      show();
    } catch (error) {
      if (error.status === 404) return location.reload(); // it was cleared: the page that says so
      failures += 1;
    }
  }
}

place.replaceChildren();
show();
follow();
