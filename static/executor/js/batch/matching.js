/** How many tasks match, and the pill behind which changes of the list wait. */
import { plural } from "../words.js";
import { html } from "./html.js";
import { matching, pending, reload } from "./rows.js";

export function Matching() {
  const count = matching.value;
  return html`
    ${pending.value > 0 && html`<button type="button" class="pill" onClick=${() => reload()}>${pending.value} changed – refresh</button> `}
    ${count == null ? "more than 10,000 tasks" : plural(count, "task")}`;
}
