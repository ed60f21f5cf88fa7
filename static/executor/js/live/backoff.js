/** How long to wait before the next try: 0.5 s doubling to 30 s, jittered so that pages do not come back together. */

const FIRST = 500;
const LONGEST = 30_000;

/** @param {number} failures so far, 1 or more @returns {number} milliseconds */
export function delay(failures) {
  const most = Math.min(LONGEST, FIRST * 2 ** (failures - 1));
  return most / 2 + Math.random() * (most / 2);
}
