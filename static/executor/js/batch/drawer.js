/** The drawer beside the table. The table stays usable: the drawer is no modal. */
import { useEffect, useRef } from "preact/hooks";
import { act } from "../http.js";
import { tell } from "../toast.js";
import { Detail } from "./detail.js";
import { html } from "./html.js";
import { detail, problem } from "./shown.js";
import { may, now, shownTask } from "./state.js";

const VERB = { failed: "retry", cancelled: "retry", queued: "cancel", running: "cancel" };

export function Drawer() {
  const dialog = useRef();
  const before = useRef();
  const number = shownTask.value;
  const task = detail.value;

  useEffect(() => {
    const node = dialog.current;
    if (number && !node.open) {
      before.current = document.activeElement;
      node.show();
      node.querySelector(".drawer-head h2").focus();
    } else if (!number && node.open) {
      node.close();
      if (before.current?.isConnected) before.current.focus({ preventScroll: true });
    }
  }, [number]);

  return html`<dialog ref=${dialog} class="drawer" aria-labelledby="drawer-title" onCancel=${close} onClose=${close}>
    <header class="drawer-head">
      <h2 id="drawer-title" tabindex="-1"><span class="dim">#${number}</span> ${task && (task.name || task.function)}</h2>
      ${task && html`<span class="status" data-status=${task.status}>${task.status}</span>`}
      <span class="end">
        ${task && may("control") && html`<${Verb} task=${task} />`}
        ${task && html`<a class="button quiet small" href=${`/tasks/${task.task_id}/`}>Page</a>`}
        <button type="button" class="button quiet small" onClick=${close} aria-label="Close">✕</button>
      </span>
    </header>
    <div class="drawer-body">
      ${problem.value && html`<p class="message" data-level="error" role="alert">${problem.value}</p>`}
      ${task ? html`<${Detail} task=${task} now=${now.value} />` : !problem.value && html`<p class="dim" aria-busy="true">Reading…</p>`}
    </div>
  </dialog>`;
}

function Verb({ task }) {
  const verb = VERB[task.status];
  if (!verb) return null;
  const run = () => tell(act(verb, { task_ids: [task.task_id] }));
  return html`<button type="button" class="button small" onClick=${run}>${verb === "retry" ? "Retry" : "Cancel"}</button>`;
}

const close = () => {
  shownTask.value = 0;
};
