/** The table of all matching tasks, of which only the rows in view are drawn. */
import { useEffect } from "preact/hooks";
import { CLEARED } from "../states.js";
import { classOf } from "./cells.js";
import { html } from "./html.js";
import { Row } from "./row.js";
import { rows } from "./rows.js";
import { isPicked, toggle } from "./selection.js";
import { batch, cursor, filter, filtered, island, may, now, openedTask } from "./state.js";
import { drawn, place, setLength } from "./window.js";

const SCROLL_DEBOUNCE = 40; // rows that are only scrolled past are not read

const Space = ({ height, columns }) =>
  html`<tr class="space" aria-hidden="true"><td colspan=${columns} style=${{ height: `${height}px` }}></td></tr>`;

export function Table() {
  const { first, last, above, below } = drawn.value;
  const { columns } = island;
  const length = rows.length.value;
  const pickable = island.buttons.length > 0;
  rows.version.value; // subscribes to changes of rows

  useEffect(() => setLength(length), [length]);
  useEffect(() => {
    const timer = setTimeout(() => rows.show(first, last), SCROLL_DEBOUNCE);
    return () => clearTimeout(timer);
  }, [first, last, length]);

  if (!length) return html`<${Empty} />`;
  return html`
    ${rows.failure.value && html`<${Failure} />`}
    <table class="list tasks-table" role="table" aria-label="Tasks" aria-rowcount=${length + 1} onClick=${clicked}>
      <thead><tr aria-rowindex="1">
        ${pickable && html`<th class="c-pick"><span class="visually-hidden">Select</span></th>`}
        ${columns.map((column) => html`<th class=${classOf(column)} scope="col">${column.label}</th>`)}
      </tr></thead>
      <tbody ref=${place}>
        <${Space} key="above" height=${above} columns=${columns.length + 1} />
        ${range(first, Math.min(last, length - 1)).map((index) => drawRow(index, pickable))}
        <${Space} key="below" height=${below} columns=${columns.length + 1} />
      </tbody>
    </table>`;
}

function drawRow(index, pickable) {
  const task = rows.at(index);
  if (!task) return html`<${Blank} key=${`blank${index}`} index=${index} pickable=${pickable} />`;
  const { status } = filter.value;
  const left = task.status === CLEARED || (status.length > 0 && !status.includes(task.status));
  return html`<${Row} key=${task.task_id} task=${task} index=${index} now=${now.value} left=${left} picked=${isPicked(task)}
    here=${index === cursor.value || task.number === openedTask.value} pickable=${pickable} onPick=${pick} />`;
}

const Blank = ({ index, pickable }) => html`<tr class="blank" aria-rowindex=${index + 2} aria-busy="true">
  ${pickable && html`<td class="c-pick"></td>`}${island.columns.map((column) => html`<td class=${classOf(column)}></td>`)}</tr>`;

const Failure = () => html`<div class="notice" role="alert">The list could not be read: ${rows.failure.value}
  <button type="button" class="button small" onClick=${() => rows.reload()}>Try again</button></div>`;

function Empty() {
  if (rows.failure.value) return html`<${Failure} />`;
  if (rows.search.state.value?.going) return html`<div class="empty"><p>Searching…</p></div>`;
  if (filtered.value) return html`<div class="empty"><p>No task matches this filter.</p></div>`;
  return html`<div class="empty"><p><strong>No tasks yet.</strong></p>
    ${may("submit") && html`<p><a href=${`/batches/${batch.value.batch_id}/add/`}>Add the first tasks</a></p>`}</div>`;
}

function pick(event, index) {
  event.preventDefault(); // the state decides which boxes are checked
  event.stopPropagation();
  const range = event.shiftKey;
  setTimeout(() => toggle(index, range));
}

function clicked(event) {
  const row = event.target.closest("tr[data-number]");
  if (!row || event.target.closest(".c-pick") || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  if (getSelection().toString()) return; // text is being selected
  event.preventDefault();
  cursor.value = Number(row.dataset.index);
  openedTask.value = Number(row.dataset.number);
}

const range = (first, last) => Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
