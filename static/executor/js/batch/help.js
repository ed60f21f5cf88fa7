/** The dialog with the keyboard shortcuts. */
import { render } from "preact";
import { html } from "./html.js";
import { lettersAreOn, setLetters } from "./shortcuts.js";

const LINES = [
  [["/"], "filter by text"], [["j", "k"], "next and previous task"], [["x"], "select; with Shift the range"], [["Enter"], "open the task"],
  [["Esc"], "close, clear the selection"], [["r"], "retry"], [["c"], "cancel"], [["."], "refresh the list"], [["?"], "this help"],
];

export function showHelp() {
  const place = document.getElementById("help");
  const onClose = () => render(null, place);
  const onChange = (event) => setLetters(event.target.checked);
  render(html`<dialog class="sheet" onClose=${onClose} aria-labelledby="help-title">
    <h2 id="help-title">Keyboard</h2>
    <dl class="keys">${LINES.map(([keys, text]) => html`<dt>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${text}</dd>`)}</dl>
    <label class="check"><input type="checkbox" checked=${lettersAreOn()} onChange=${onChange} /> Single-letter keys are on</label>
    <form method="dialog" class="row"><button class="button primary">Close</button></form>
  </dialog>`, place);
  place.querySelector("dialog").showModal();
}
