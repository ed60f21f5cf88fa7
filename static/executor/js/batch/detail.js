/** Everything about a task, in the drawer and on its own page. */
import { useState } from "preact/hooks";
import { firstLine, moment, pretty } from "../formatting.js";
import { Log } from "../log/log.js";
import { showOutcome } from "../toast.js";
import { cellOf } from "./cells.js";
import { html } from "./html.js";

const copy = (text) => showOutcome(navigator.clipboard.writeText(text).then(() => ({ message: "Copied." })));

function Block({ title, kind, text, bad }) {
  return html`<section class="block">
    <div class="block-head"><h2>${title}${kind && html` <span class="dim">${kind}</span>`}</h2>
      <button type="button" class="button quiet small" onClick=${() => copy(text)} aria-label=${`Copy ${title}`}>Copy</button></div>
    <pre class=${bad ? "code bad" : "code"}>${text}</pre>
  </section>`;
}

function Attempt({ task, attempt, open }) {
  const [isOpen, setOpen] = useState(open);
  const { number, outcome, error, error_kind: kind, traceback, output, worker, ended_at: ended } = attempt;
  return html`<li><details open=${open} onToggle=${(event) => setOpen(event.target.open)}>
    <summary><b>${number}</b> <span class="dim">${outcome}</span> ${firstLine(error)}</summary>
    <p class="dim small">${[worker, kind, ended && `ended ${moment(ended)}`].filter(Boolean).join(" · ")}</p>
    ${error && html`<pre class="code bad">${error}</pre>`}
    ${traceback && html`<pre class="code">${traceback}</pre>`}
    ${output != null && html`<pre class="code">${pretty(output)}</pre>`}
    ${isOpen && number !== task.attempt && html`<${Log} taskId=${task.task_id} attempt=${number} />`}
  </details></li>`;
}

function Field({ field, task, now }) {
  const value = cellOf(task, field, now);
  const wide = field.format === "outlook" && task.progress;
  return value && html`<div class=${wide ? "wide" : ""}><dt>${field.label}</dt><dd>${value}</dd></div>`;
}

/** @param {{task: object, fields: import("./cells.js").Column[], now: number}} props the task as the API returns it; epoch ms */
export function Detail({ task, fields, now }) {
  const attempts = task.attempts || [];
  return html`<div class="detail">
    <dl class="pairs">${fields.map((field) => html`<${Field} key=${field.name} field=${field} task=${task} now=${now} />`)}</dl>
    ${task.attempt > 0 && html`<${Log} key=${`${task.task_id} ${task.attempt}`} taskId=${task.task_id} attempt=${task.attempt} />`}
    ${task.error && html`<${Block} title="Error" kind=${task.error_kind} text=${task.error} bad />`}
    ${task.result != null && html`<${Block} title="Result" text=${pretty(task.result)} />`}
    <${Block} title="Parameters" text=${pretty(task.params)} />
    ${attempts.length > 0 && html`<section class="block"><h2>Attempts that did not complete</h2>
      <ol class="attempts">${attempts.map((attempt, index) =>
        html`<${Attempt} key=${attempt.number} task=${task} attempt=${attempt} open=${index === attempts.length - 1} />`)}</ol></section>`}
  </div>`;
}
