/** The bar with the actions for the selected tasks. */
import { plural } from "../formatting.js";
import { act } from "../http.js";
import { showOutcome } from "../toast.js";
import { confirmed } from "./confirm.js";
import { html } from "./html.js";
import { rows } from "./rows.js";
import * as selection from "./selection.js";
import { cursor, island, openedTask } from "./state.js";

export function BulkBar() {
  if (!selection.some.value) return null;
  const { count, all } = selection;
  const matching = rows.matching.value;
  const selected = count.value == null ? "" : plural(count.value, "task");
  return html`<div class="bulk-bar" role="toolbar" aria-label="Selected tasks">
    <span><b>${all.value ? `All ${selected} matching` : selected}</b> selected</span>
    ${!all.value && matching !== count.value && html`<button type="button" class="link" onClick=${selection.selectAll}>
      Select all ${matching == null ? "" : `${plural(matching, "task")} `}matching</button>`}
    ${island.buttons.map((button) => html`<button type="button" class=${button.is_destructive ? "button danger" : "button"}
      onClick=${() => run(button.action)}>${button.label}</button>`)}
    <button type="button" class="button quiet" onClick=${selection.clear} aria-label="Clear the selection">✕</button>
  </div>`;
}

/** Run an action on the selection; without one on the task in the drawer or at the keyboard's row. @param {string} action */
export async function run(action) {
  const button = island.buttons.find((each) => each.action === action);
  if (!button) return;
  const hasSelection = selection.some.value;
  const single = rows.byNumber(openedTask.value) || rows.at(cursor.value);
  if (!hasSelection && !single) return;
  if (selection.all.value && !(await isConfirmed(button))) return;
  const done = await showOutcome(act(action, { ...button.arguments, ...(hasSelection ? selection.selectors() : { task_ids: [single.task_id] }) }));
  if (done && hasSelection) selection.clear();
}

function isConfirmed({ label, effect }) {
  const tasks = rows.matching.value == null ? "all tasks" : plural(rows.matching.value, "task");
  return confirmed(`${label} ${tasks} that match?`, effect, label);
}
