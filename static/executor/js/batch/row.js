/** One row of the table; the same cells as templates/executor/_task_row.html. */
import { Component } from "preact";
import { html } from "./html.js";
import { duration, note, ticks } from "./note.js";

export class Row extends Component {
  shouldComponentUpdate(next) {
    const { task, index, picked, here, left, now } = this.props;
    if (next.task !== task || next.index !== index || next.picked !== picked) return true;
    return next.here !== here || next.left !== left || (next.now !== now && ticks(task));
  }

  render({ task, index, picked, here, left, now, pickable, onPick }) {
    const url = `/tasks/${task.task_id}/`;
    return html`
      <tr data-number=${task.number} data-index=${index} data-status=${task.status} aria-rowindex=${index + 2}
          aria-selected=${picked ? "true" : "false"} class=${[here && "here", left && "left"].filter(Boolean).join(" ")}>
        ${pickable && html`<td class="c-pick">
          <input type="checkbox" checked=${picked} aria-label=${`Select task ${task.number}`}
                 onClick=${(event) => onPick(event, index)} />
        </td>`}
        <td class="c-number num"><a href=${url}>${task.number}</a></td>
        <td class="c-status"><span class="status" data-status=${task.status}>${task.status}</span></td>
        <td class="c-name">${task.name || task.function}${task.custom_id && html` <span class="dim">${task.custom_id}</span>`}</td>
        <td class="c-function">${task.function}</td>
        <td class="c-priority"><span class="priority" data-priority=${task.priority}>${task.priority}</span></td>
        <td class="c-attempt num">${task.attempt || ""}</td>
        <td class="c-worker" title=${task.worker}>${task.worker}</td>
        <td class="c-time num">${duration(task, now)}</td>
        <td class="c-note" title=${task.error || ""}>${note(task, now)}</td>
      </tr>`;
  }
}
