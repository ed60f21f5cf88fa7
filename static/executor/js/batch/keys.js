/** The keyboard shortcuts. */
import { run } from "./bulk.js";
import { showHelp } from "./help.js";
import { rows } from "./rows.js";
import { clear, some, toggle } from "./selection.js";
import { lettersAreOn } from "./shortcuts.js";
import { cursor, island, openedTask } from "./state.js";
import { reveal } from "./window.js";

const KEYS = {
  "/": () => document.querySelector("#filters [name=q]").focus(),
  j: () => move(1),
  k: () => move(-1),
  ArrowDown: () => cursor.value >= 0 && move(1),
  ArrowUp: () => cursor.value >= 0 && move(-1),
  x: (event) => island.buttons.length > 0 && toggle(cursor.value, event.shiftKey),
  Enter: () => open(),
  r: () => run("retry"),
  c: () => run("cancel"),
  ".": () => rows.reload(),
  "?": () => showHelp(),
};

const ALWAYS_ON = ["Enter", "ArrowDown", "ArrowUp"];
const TEXT_FIELDS = "input:not([type=checkbox]), select, textarea, [contenteditable]";

export function startKeys() {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog.sheet[open]")) return;
    if (event.key === "Escape") return escape(event);
    if (belongsToElement(event)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!(key in KEYS) || (!ALWAYS_ON.includes(key) && !lettersAreOn())) return;
    if (KEYS[key](event) !== false) event.preventDefault();
  });
}

/** Whether the focused element uses the key itself. */
function belongsToElement({ target, key }) {
  return Boolean(target.closest(TEXT_FIELDS) || (key === "Enter" && target.closest("a, button, summary, input")));
}

function escape(event) {
  if (event.target.closest(TEXT_FIELDS)) {
    event.preventDefault(); // a search field would empty itself without an event
    event.target.blur();
    return;
  }
  if (openedTask.value) openedTask.value = 0;
  else if (some.value) clear();
  else cursor.value = -1;
}

function move(by) {
  const length = rows.length.value;
  if (!length) return;
  const next = cursor.value < 0 ? 0 : Math.min(length - 1, Math.max(0, cursor.value + by));
  cursor.value = next;
  reveal(next);
  if (openedTask.value && rows.at(next)) openedTask.value = rows.at(next).number;
}

function open() {
  const task = rows.at(cursor.value);
  if (!task) return false;
  openedTask.value = task.number;
  return true;
}
