/** What stands in the columns of the table. Which there are is said in executor/views/columns.py. */
import { moment, seconds, thousands } from "../words.js";
import { html } from "./html.js";
import { duration, note } from "./note.js";
import { HowFar } from "./progress.js";
import { island } from "./state.js";

/** @type {{name: string, label: string, css: string, format: string, cell: string}[]} */
export const COLUMNS = island.columns;

/** The cells that are more than a value; the same as templates/executor/cells. */
const CELLS = {
  number: (task) => html`<a href=${`/tasks/${task.task_id}/`}>${task.number}</a>`,
  status: ({ status }) => html`<span class="status" data-status=${status}>${status}</span>`,
  name: (task) => html`${task.name || task.function}${task.custom_id && html` <span class="dim">${task.custom_id}</span>`}`,
  priority: ({ priority }) => html`<span class="priority" data-priority=${priority}>${priority}</span>`,
  time: duration,
  note: (task, now) =>
    task.status === "running" && task.progress ? html`<${HowFar} progress=${task.progress} />` : note(task, now),
};

const FORMATS = { text: String, count: thousands, seconds, moment };

/** @param {import("./state.js").Task} task @param {number} now */
export function cellOf(task, column, now) {
  if (column.cell) return CELLS[column.cell](task, now);
  const value = task[column.name];
  return value || (value === 0 && column.format === "seconds") ? FORMATS[column.format](value) : "";
}

/** What is too long for its cell can be read by pointing at it. */
export function titleOf(task, column) {
  if (column.cell === "note") return task.error || undefined;
  return column.cell ? undefined : task[column.name] || undefined;
}
