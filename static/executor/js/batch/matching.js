/** The number of matching tasks, the progress of a search, and the button that refreshes a changed list. */
import { count, plural } from "../formatting.js";
import { html } from "./html.js";
import { rows } from "./rows.js";

export function Matching() {
  const changed = rows.pending.count.value;
  return html`
    ${changed > 0 && html`<button type="button" class="pill" onClick=${() => rows.reload()}>${changed} changed – refresh</button> `}
    ${text()}`;
}

function text() {
  const matching = rows.matching.value;
  const search = rows.search.state.value;
  if (search?.going) return `${plural(search.found, "task")} up to #${count(search.to)}, searching…`;
  if (matching != null) return plural(matching, "task");
  return search ? `more than ${plural(search.found, "task")}` : "more than 10,000 tasks";
}
