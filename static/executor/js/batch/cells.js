/** The cells of the task list and the fields of a task. Their names, labels and formats: executor/reads/task_table.py. */
import { attempts, count, duration, elapsed, moment, note, outlook, progress } from "../formatting.js";
import { toneOf } from "../states.js";
import { html } from "./html.js";

/** @typedef {{name: string, label: string, format: string, end: boolean}} Column */

export const Status = ({ status }) => html`<span class="status" data-status=${status} data-tone=${toneOf(status)}>${status}</span>`;

const withBar = (text) => (task, now) =>
  task.status === "running" && task.progress ? html`<${Progress} value=${task.progress} />` : text(task, now);

const Progress = ({ value }) => html`<span class="how-far">
  ${value[1] > 0 && html`<progress class="thin" max=${value[1]} value=${value[0]} aria-label="Progress of the task"></progress>`}
  <span>${progress(value)}</span></span>`;

/** Cells that are more than a text, by column. */
const CELLS = {
  number: (task) => html`<a href=${`/tasks/${task.task_id}/`}>${task.number}</a>`,
  status: ({ status }) => html`<${Status} status=${status} />`,
  name: (task) => html`${task.name || task.function}${task.custom_id && html` <span class="dim">${task.custom_id}</span>`}`,
  priority: ({ priority }) => html`<span class="priority" data-priority=${priority}>${priority}</span>`,
  note: withBar(note),
  outlook: withBar(outlook),
};

const FORMATS = {
  text: String,
  code: (value) => html`<code>${value}</code>`,
  count,
  duration,
  moment: (value) => html`<time datetime=${value} title=${value}>${moment(value)}</time>`,
};

const TASK_FORMATS = { attempts, elapsed, note, outlook };

/** @param {import("./state.js").Task} task @param {Column} column @param {number} now epoch ms; empty without a value */
export function cellOf(task, column, now) {
  const draw = CELLS[column.name] || TASK_FORMATS[column.format];
  if (draw) return draw(task, now);
  const value = task[column.name];
  return value || (value === 0 && column.format === "duration") ? FORMATS[column.format](value) : "";
}

/** The CSS classes of a cell. */
export const classOf = ({ name, end }) => (end ? `c-${name} num` : `c-${name}`);

/** The tooltip of a cell: a text that may be cut off. */
export function titleOf(task, column) {
  if (column.name === "note") return task.error || undefined;
  return column.name in CELLS || column.format !== "text" ? undefined : task[column.name] || undefined;
}
