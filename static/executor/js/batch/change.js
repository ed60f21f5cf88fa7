/** Apply a change of a frame to a task. */
import { CLEARED, statusOfLetter } from "../states.js";

/** @param {import("../live/stream.js").Change} change */
export const statusOf = (change) => statusOfLetter(change[1]);

/**
 * @param {import("./state.js").Task} task @param {import("../live/stream.js").Change} change
 * @param {string} at when the frame was written
 * @returns {import("./state.js").Task} a new object, because rows compare tasks by identity
 */
export function applyChange(task, change, at) {
  const [, , attempt, worker, started, duration, retryIn, error, progress] = change;
  const status = statusOf(change);
  if (status === CLEARED) return { ...task, status };
  return {
    ...task,
    status,
    attempt: Math.max(attempt || 0, 0),
    worker: worker || null,
    started_at: started == null ? null : new Date(started).toISOString(),
    execution_time: duration == null ? null : duration / 1000,
    run_after: retryIn == null ? null : new Date(Date.parse(at) + retryIn).toISOString(),
    error: error || null,
    progress: status === "running" ? progress || null : null,
  };
}
