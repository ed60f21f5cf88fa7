/** All that is known of a task; the same as templates/executor/_task_detail.html. */
import { useState } from "preact/hooks";
import { Log } from "../log/log.js";
import { tell } from "../toast.js";
import { firstLine, moment, pretty, seconds } from "../words.js";
import { html } from "./html.js";
import { note } from "./note.js";
import { HowFar } from "./progress.js";

const copy = (text) => tell(navigator.clipboard.writeText(text).then(() => ({ message: "Copied." })));

const Pair = ({ name, wide, children }) => html`<div class=${wide ? "wide" : ""}><dt>${name}</dt><dd>${children}</dd></div>`;
const When = ({ at }) => html`<time datetime=${at} title=${at}>${moment(at)}</time>`;

function Block({ title, kind, text, bad }) {
  return html`<section class="block">
    <div class="block-head"><h2>${title}${kind && html` <span class="dim">${kind}</span>`}</h2>
      <button type="button" class="button quiet small" onClick=${() => copy(text)} aria-label=${`Copy ${title}`}>Copy</button></div>
    <pre class=${bad ? "code bad" : "code"}>${text}</pre>
  </section>`;
}

function Attempt({ task, attempt, open }) {
  const [shown, setShown] = useState(open);
  const { number, outcome, error, error_kind: kind, traceback, output, worker, ended_at: ended } = attempt;
  return html`<li><details open=${open} onToggle=${(event) => setShown(event.target.open)}>
    <summary><b>${number}</b> <span class="dim">${outcome}</span> ${firstLine(error)}</summary>
    <p class="dim small">${[worker, kind, ended && `ended ${moment(ended)}`].filter(Boolean).join(" · ")}</p>
    ${error && html`<pre class="code bad">${error}</pre>`}
    ${traceback && html`<pre class="code">${traceback}</pre>`}
    ${output != null && html`<pre class="code">${pretty(output)}</pre>`}
    ${shown && number !== task.attempt && html`<${Log} taskId=${task.task_id} attempt=${number} />`}
  </details></li>`;
}

const retries = ({ retry_count: used, max_retries: most }) =>
  used ? `retry ${used} of ${most}` : `up to ${most} ${most === 1 ? "retry" : "retries"}`;

/** What it is doing just now; nothing for a task that is over. */
function doing(task, now) {
  if (task.status === "running") return task.progress ? html`<${HowFar} progress=${task.progress} />` : "running";
  return task.status === "queued" && note({ ...task, error: "" }, now);
}

/** @param {{task: object, now: number}} given the task as the API tells it, and the time */
export function Detail({ task, now }) {
  const attempts = task.attempts || [];
  const news = doing(task, now);
  return html`<div class="detail">
    <dl class="pairs">
      ${news && html`<${Pair} name="Now" wide=${Boolean(task.progress)}>${news}<//>`}
      <${Pair} name="Function"><code>${task.function}</code><//>
      <${Pair} name="Priority"><span class="priority" data-priority=${task.priority}>${task.priority}</span><//>
      <${Pair} name="Attempts">${task.attempt} · ${retries(task)}<//>
      <${Pair} name="Created"><${When} at=${task.created_at} /><//>
      ${task.run_after && html`<${Pair} name="Not before"><${When} at=${task.run_after} /><//>`}
      ${task.started_at && html`<${Pair} name="Started"><${When} at=${task.started_at} /><//>`}
      ${task.completed_at && html`<${Pair} name="Ended"><${When} at=${task.completed_at} /><//>`}
      ${task.execution_time != null && html`<${Pair} name="Took">${seconds(task.execution_time)}<//>`}
      ${task.worker && html`<${Pair} name="Worker">${task.worker}<//>`}
      ${task.timeout && html`<${Pair} name="Timeout">${seconds(task.timeout)}<//>`}
      ${task.custom_id && html`<${Pair} name="Custom id"><code>${task.custom_id}</code><//>`}
      <${Pair} name="Task id"><code>${task.task_id}</code><//>
    </dl>
    ${task.attempt > 0 && html`<${Log} key=${`${task.task_id} ${task.attempt}`} taskId=${task.task_id} attempt=${task.attempt} />`}
    ${task.error && html`<${Block} title="Error" kind=${task.error_kind} text=${task.error} bad />`}
    ${task.result != null && html`<${Block} title="Result" text=${pretty(task.result)} />`}
    <${Block} title="Parameters" text=${pretty(task.params)} />
    ${attempts.length > 0 && html`<section class="block"><h2>Attempts that did not complete</h2>
      <ol class="attempts">${attempts.map((attempt, index) =>
        html`<${Attempt} key=${attempt.number} task=${task} attempt=${attempt} open=${index === attempts.length - 1} />`)}</ol></section>`}
  </div>`;
}
