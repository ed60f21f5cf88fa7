/** The keyboard. Single letters can be switched off, for those who speak to their computer. */
import { run } from "./bulk.js";
import { showHelp } from "./help.js";
import * as rows from "./rows.js";
import { clear, some, toggle } from "./selection.js";
import { cursor, may, shownTask } from "./state.js";
import { reveal } from "./window.js";

export const OFF = "batch-keys-off";

const KEYS = {
  "/": () => document.querySelector("#filters [name=q]").focus(),
  j: () => move(1),
  k: () => move(-1),
  ArrowDown: () => cursor.value >= 0 && move(1),
  ArrowUp: () => cursor.value >= 0 && move(-1),
  x: (event) => may("control") && toggle(cursor.value, event.shiftKey),
  Enter: () => open(),
  r: () => run("retry"),
  c: () => run("cancel"),
  ".": () => rows.reload(),
  "?": () => showHelp(),
};

const NOT_LETTERS = ["Enter", "ArrowDown", "ArrowUp"];

export function startKeys() {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog.sheet[open]")) return;
    if (event.key === "Escape") return escape(event);
    if (busy(event)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!(key in KEYS) || (!NOT_LETTERS.includes(key) && localStorage.getItem(OFF))) return;
    if (KEYS[key](event) !== false) event.preventDefault();
  });
}

function busy(event) {
  const { target } = event;
  if (target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]")) return true;
  return event.key === "Enter" && Boolean(target.closest("a, button, summary, input"));
}

function escape(event) {
  if (event.target.closest("input:not([type=checkbox]), select, textarea")) {
    event.preventDefault(); // a search field would be emptied without saying so
    event.target.blur();
    return;
  }
  if (shownTask.value) shownTask.value = 0;
  else if (some.value) clear();
  else cursor.value = -1;
}

function move(by) {
  const length = rows.length.value;
  if (!length) return;
  const next = cursor.value < 0 ? 0 : Math.min(length - 1, Math.max(0, cursor.value + by));
  cursor.value = next;
  reveal(next);
  if (shownTask.value && rows.at(next)) shownTask.value = rows.at(next).number;
}

function open() {
  const task = rows.at(cursor.value);
  if (!task) return false;
  shownTask.value = task.number;
  return true;
}
