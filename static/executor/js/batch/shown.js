/** The task in the drawer: read when it is opened, and again when a frame says that it changed. */
import { effect, signal } from "@preact/signals";
import { get } from "../http.js";
import * as rows from "./rows.js";
import { island, shownTask } from "./state.js";

/** @type {import("@preact/signals").Signal<?object>} */
export const detail = signal(null);
export const problem = signal("");

let id = island.open_id || "";
let timer = 0;

effect(() => {
  const number = shownTask.value;
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
    if (shownTask.peek() === number) detail.value = found;
  } catch (error) {
    if (shownTask.peek() === number) problem.value = error.message;
  }
}

/** @param {import("../live/stream.js").Change[]} changes */
export function heed(changes) {
  const number = shownTask.peek();
  const change = number && changes.findLast((each) => each[0] === number);
  if (!change || told(change)) return;
  clearTimeout(timer);
  timer = setTimeout(() => shownTask.peek() === number && load(number), 200);
}

/** The task only said how far it is: that is shown without asking for the rest again. */
function told(change) {
  const task = detail.peek();
  const [number, , attempt, , , , , , progress] = change;
  if (!progress || task?.number !== number || task.status !== "running" || task.attempt !== attempt) return false;
  detail.value = { ...task, progress };
  return true;
}
