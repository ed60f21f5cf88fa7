/** How many tasks match, how far a search is, and the pill behind which changes of the list wait. */
import { plural, thousands } from "../words.js";
import { html } from "./html.js";
import { matching, pending, reload } from "./rows.js";
import { search } from "./search.js";

export function Matching() {
  return html`
    ${pending.value > 0 && html`<button type="button" class="pill" onClick=${() => reload()}>${pending.value} changed – refresh</button> `}
    ${counted()}`;
}

function counted() {
  if (search.value?.going) return `${plural(search.value.found, "task")} up to #${thousands(search.value.to)}, searching…`;
  if (matching.value != null) return plural(matching.value, "task");
  return search.value ? `more than ${plural(search.value.found, "task")}` : "more than 10,000 tasks";
}
