/** The task in the drawer: read when it is opened, and again after each change of it. */
import { effect, signal } from "@preact/signals";
import { get } from "../http.js";
import { rows } from "./rows.js";
import { island, openedTask } from "./state.js";

const DEBOUNCE = 200;

/** @type {import("@preact/signals").Signal<?object>} */
export const detail = signal(null);
export const problem = signal("");

let id = island.open_id || "";
let timer = 0;

effect(() => {
  const number = openedTask.value;
  problem.value = "";
  if (!number) {
    detail.value = null;
    return;
  }
  id = rows.byNumber(number)?.task_id || (island.open === number && island.open_id) || id;
  if (detail.peek()?.number !== number) detail.value = null;
  load(number);
});

async function load(number) {
  try {
    const found = await get(`/api/tasks/${id}`);
    if (openedTask.peek() === number) detail.value = found;
  } catch (error) {
    if (openedTask.peek() === number) problem.value = error.message;
  }
}

/** @param {import("../live/stream.js").Change[]} changes */
export function updateOpenedTask(changes) {
  const number = openedTask.peek();
  const change = number && changes.findLast((each) => each[0] === number);
  if (!change || isProgress(change)) return;
  clearTimeout(timer);
  timer = setTimeout(() => openedTask.peek() === number && load(number), DEBOUNCE);
}

/** Show a change that is progress alone, without reading the task again. */
function isProgress(change) {
  const task = detail.peek();
  const [number, , attempt, , , , , , progress] = change;
  if (!progress || task?.number !== number || task.status !== "running" || task.attempt !== attempt) return false;
  detail.value = { ...task, progress };
  return true;
}
