/** Test cases of JavaScript modules: tests/browser/test_modules.py runs each in a fresh page. */

const cases = new Map();

/** @param {string} name @param {() => (void|Promise<void>)} body */
export const test = (name, body) => cases.set(name, body);

export const run = (name) => cases.get(name)();

/** Compare by value. */
export function equal(actual, expected, about = "") {
  const [left, right] = [actual, expected].map((value) => JSON.stringify(plain(value)));
  if (left !== right) throw new Error(`${about ? `${about}: ` : ""}got ${left}, expected ${right}`);
}

const plain = (value) => {
  if (value instanceof Set) return [...value];
  if (value instanceof Map) return Object.fromEntries(value);
  return value === undefined ? null : value;
};

/** A promise with its `resolve` and `reject`. */
export function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

/** Wait until a condition holds. @param {() => boolean} condition */
export async function until(condition) {
  for (const end = Date.now() + 5000; !condition(); ) {
    if (Date.now() > end) throw new Error(`did not become true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
