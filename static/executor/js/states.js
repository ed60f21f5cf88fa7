/** The statuses of tasks, from the registry in executor/domain/states.py. */

const { statuses, cleared } = JSON.parse(document.getElementById("states").textContent);

/** The name that scripts give to deleted tasks, and its tone in status.css. */
export const CLEARED = "cleared";

const byName = new Map(statuses.map((status) => [status.name, status]));
const nameOfLetter = new Map([...statuses.map(({ letter, name }) => [letter, name]), [cleared, CLEARED]]);

/** @param {string} letter of a frame @returns {string} the status */
export const statusOfLetter = (letter) => nameOfLetter.get(letter);

export const toneOf = (status) => byName.get(status)?.tone ?? CLEARED;

export const isFinal = (status) => Boolean(byName.get(status)?.final);

/** @param {Record<string, number>} counts by status @param {boolean} final @returns {number} */
export const countTasks = (counts, final) =>
  statuses.reduce((sum, status) => sum + (status.final === final ? counts[status.name] : 0), 0);
