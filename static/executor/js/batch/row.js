/** One row of the table. */
import { Component } from "preact";
import { toneOf } from "../states.js";
import { cellOf, classOf, titleOf } from "./cells.js";
import { html } from "./html.js";
import { island } from "./state.js";

/** Whether the row changes with the clock. */
const ticks = (task) => task.status === "running" || (task.status === "queued" && Boolean(task.run_after));

export class Row extends Component {
  shouldComponentUpdate(next) {
    const { task, index, picked, here, left, now } = this.props;
    if (next.task !== task || next.index !== index || next.picked !== picked) return true;
    return next.here !== here || next.left !== left || (next.now !== now && ticks(task));
  }

  render({ task, index, picked, here, left, now, pickable, onPick }) {
    return html`
      <tr data-number=${task.number} data-index=${index} data-status=${task.status} data-tone=${toneOf(task.status)}
          aria-rowindex=${index + 2} aria-selected=${picked ? "true" : "false"}
          class=${[here && "here", left && "left"].filter(Boolean).join(" ")}>
        ${pickable && html`<td class="c-pick">
          <input type="checkbox" checked=${picked} aria-label=${`Select task ${task.number}`}
                 onClick=${(event) => onPick(event, index)} />
        </td>`}
        ${island.columns.map((column) => html`<td class=${classOf(column)} title=${titleOf(task, column)}>${cellOf(task, column, now)}</td>`)}
      </tr>`;
  }
}
