/** What can be done with the selected tasks. */
import { act } from "../http.js";
import { tell } from "../toast.js";
import { plural } from "../words.js";
import { confirmed } from "./confirm.js";
import { html } from "./html.js";
import * as rows from "./rows.js";
import * as selection from "./selection.js";
import { cursor, may, shownTask } from "./state.js";

const TITLE = { retry: "Retry", cancel: "Cancel" };

export function BulkBar() {
  if (!selection.some.value) return null;
  const { count, all } = selection;
  const matching = rows.matching.value;
  const words = all.value ? `All ${count.value == null ? "" : plural(count.value, "task")} matching` : plural(count.value, "task");
  return html`<div class="bulk-bar" role="toolbar" aria-label="Selected tasks">
    <span><b>${words}</b> selected</span>
    ${!all.value && matching !== count.value && html`<button type="button" class="link" onClick=${selection.pickAll}>
      Select all ${matching == null ? "" : `${plural(matching, "task")} `}matching</button>`}
    <button type="button" class="button" onClick=${() => run("retry")}>Retry</button>
    <button type="button" class="button danger" onClick=${() => run("cancel")}>Cancel</button>
    <button type="button" class="button quiet" onClick=${selection.clear} aria-label="Select none">✕</button>
  </div>`;
}

/** Act on the selection; without one on the task in the drawer or at the keyboard's row. @param {"retry"|"cancel"} verb */
export async function run(verb) {
  if (!may("control")) return;
  const chosen = selection.some.value;
  const single = rows.byNumber(shownTask.value) || rows.at(cursor.value);
  if (!chosen && !single) return;
  if (selection.all.value && !(await agreed(verb))) return;
  const done = await tell(act(verb, chosen ? selection.selectors() : { task_ids: [single.task_id] }));
  if (done && chosen) selection.clear();
}

function agreed(verb) {
  const many = rows.matching.value == null ? "all tasks" : plural(rows.matching.value, "task");
  const effect = verb === "retry" ? "Those that failed or were cancelled are queued again." : "Those that wait or run are cancelled.";
  return confirmed(`${TITLE[verb]} ${many} that match?`, effect, TITLE[verb]);
}
