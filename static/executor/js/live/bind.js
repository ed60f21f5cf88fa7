/** Puts values into the nodes that templates mark with `data-live`. */

/** @param {ParentNode} root @param {Record<string, string|number>} values */
export function bind(root, values) {
  for (const node of root.querySelectorAll("[data-live]")) {
    const value = values[node.dataset.live];
    if (value === undefined) continue;
    if (node instanceof HTMLInputElement) {
      if (node !== document.activeElement && node.value !== String(value)) node.value = value;
    } else if (node.textContent !== String(value)) {
      node.textContent = value;
    }
  }
}

/** @param {ParentNode} root @param {object} batch */
export function bindBar(root, batch) {
  const total = batch.stats.total_tasks;
  root.querySelector(".bar progress").value = batch.stats.progress_percentage || 0;
  let start = 0;
  for (const segment of root.querySelectorAll(".bar .seg")) {
    const width = total ? (100 * batch.request_counts[segment.dataset.status]) / total : 0;
    segment.setAttribute("x", `${start}%`);
    segment.setAttribute("width", `${width}%`);
    start += width;
  }
}
