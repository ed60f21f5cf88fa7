/** Delay of the next attempt: 0.5 s doubling to 30 s, with jitter so that pages do not reconnect at the same time. */

const FIRST = 500;
const LONGEST = 30_000;

/** @param {number} failures so far, 1 or more @returns {number} milliseconds */
export function delay(failures) {
  const most = Math.min(LONGEST, FIRST * 2 ** (failures - 1));
  return most / 2 + Math.random() * (most / 2);
}
