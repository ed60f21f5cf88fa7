/** Times in the reader's zone: `<time data-time>` exact, `<time data-time="ago">` as an age that is kept current. */
import { age, moment } from "./formatting.js";

/** @param {ParentNode} [root] */
export function showTimes(root = document) {
  for (const node of root.querySelectorAll("time[data-time]")) {
    if (!node.dateTime) continue;
    const exact = moment(node.dateTime);
    const text = node.dataset.time === "ago" ? age(Date.now() - Date.parse(node.dateTime)) : exact;
    if (node.textContent !== text) node.textContent = text;
    if (node.title !== exact) node.title = exact;
  }
}
