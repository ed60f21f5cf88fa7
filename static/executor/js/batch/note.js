/** The last column: what is worth knowing about the task at this moment. */
import { firstLine, seconds } from "../words.js";

/** @param {import("./state.js").Task} task @param {number} now @returns {string} */
export function note(task, now) {
  const error = firstLine(task.error);
  if (task.status === "queued" && task.run_after) {
    const left = Date.parse(task.run_after) - now;
    const what = task.attempt ? "retry" : "starts";
    const when = left > 0 ? `${what} in ${seconds(Math.ceil(left / 1000)).replace(".0", "")}` : `${what} now`;
    return error ? `${when} · ${error}` : when;
  }
  return task.status === "completed" || task.status === "running" ? "" : error;
}

/** @param {import("./state.js").Task} task @param {number} now @returns {string} how long it ran, or has been running */
export function duration(task, now) {
  if (task.status !== "running") return task.execution_time == null ? "" : seconds(task.execution_time);
  const running = task.started_at ? Math.max(0, now - Date.parse(task.started_at)) / 1000 : 0;
  return running < 1 ? "" : seconds(Math.floor(running)).replace(".0", "");
}

/** Does its row change with the clock alone? */
export const ticks = (task) => task.status === "running" || (task.status === "queued" && Boolean(task.run_after));
