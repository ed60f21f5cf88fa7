/** How far a running task is, as it says itself; the same as templates/executor/_progress.html. */
import { html } from "./html.js";

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

/** @param {[number, ?number, string]} progress @returns {string} "3 / 10 · resizing" */
export function howFar([done, total, text]) {
  const count = total ? `${numbers.format(done)} / ${numbers.format(total)}` : numbers.format(done);
  return [count, text].filter(Boolean).join(" · ");
}

export const HowFar = ({ progress }) => html`<span class="how-far">
  ${progress[1] > 0 && html`<progress class="thin" max=${progress[1]} value=${progress[0]} aria-label="Progress of the task"></progress>`}
  <span>${howFar(progress)}</span></span>`;
