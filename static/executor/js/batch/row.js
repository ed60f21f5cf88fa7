/** One row of the table; the same as templates/executor/_task_row.html. */
import { Component } from "preact";
import { COLUMNS, cellOf, titleOf } from "./cells.js";
import { html } from "./html.js";
import { ticks } from "./note.js";

export class Row extends Component {
  shouldComponentUpdate(next) {
    const { task, index, picked, here, left, now } = this.props;
    if (next.task !== task || next.index !== index || next.picked !== picked) return true;
    return next.here !== here || next.left !== left || (next.now !== now && ticks(task));
  }

  render({ task, index, picked, here, left, now, pickable, onPick }) {
    return html`
      <tr data-number=${task.number} data-index=${index} data-status=${task.status} aria-rowindex=${index + 2}
          aria-selected=${picked ? "true" : "false"} class=${[here && "here", left && "left"].filter(Boolean).join(" ")}>
        ${pickable && html`<td class="c-pick">
          <input type="checkbox" checked=${picked} aria-label=${`Select task ${task.number}`}
                 onClick=${(event) => onPick(event, index)} />
        </td>`}
        ${COLUMNS.map((column) => html`<td class=${column.css} title=${titleOf(task, column)}>${cellOf(task, column, now)}</td>`)}
      </tr>`;
  }
}
