/** The drawer beside the table. It is not modal: the table stays usable. */
import { useEffect, useRef } from "preact/hooks";
import { act } from "../http.js";
import { showOutcome } from "../toast.js";
import { Status } from "./cells.js";
import { Detail } from "./detail.js";
import { html } from "./html.js";
import { detail, problem } from "./opened_task.js";
import { island, now, openedTask } from "./state.js";

export function Drawer() {
  const dialog = useRef();
  const focused = useRef();
  const number = openedTask.value;
  const task = detail.value;

  useEffect(() => {
    const node = dialog.current;
    if (number && !node.open) {
      focused.current = document.activeElement;
      node.show();
      node.querySelector(".drawer-head h2").focus();
    } else if (!number && node.open) {
      node.close();
      if (focused.current?.isConnected) focused.current.focus({ preventScroll: true });
    }
  }, [number]);

  return html`<dialog ref=${dialog} class="drawer" aria-labelledby="drawer-title" onCancel=${close} onClose=${close}>
    <header class="drawer-head">
      <h2 id="drawer-title" tabindex="-1"><span class="dim">#${number}</span> ${task && (task.name || task.function)}</h2>
      ${task && html`<${Status} status=${task.status} />`}
      <span class="end">
        ${task && island.buttons.map((button) => html`<${Action} button=${button} task=${task} />`)}
        ${task && html`<a class="button quiet small" href=${`/tasks/${task.task_id}/`}>Page</a>`}
        <button type="button" class="button quiet small" onClick=${close} aria-label="Close">✕</button>
      </span>
    </header>
    <div class="drawer-body">
      ${problem.value && html`<p class="message" data-level="error" role="alert">${problem.value}</p>`}
      ${task ? html`<${Detail} task=${task} fields=${island.details} now=${now.value} />` : !problem.value && html`<p class="dim" aria-busy="true">Loading…</p>`}
    </div>
  </dialog>`;
}

function Action({ button, task }) {
  if (!button.statuses.includes(task.status)) return null;
  const run = () => showOutcome(act(button.action, { ...button.arguments, task_ids: [task.task_id] }));
  return html`<button type="button" class="button small" onClick=${run}>${button.label}</button>`;
}

const close = () => {
  openedTask.value = 0;
};
