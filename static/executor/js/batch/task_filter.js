/** The filter of the task list, as the address, the API and the export write it. */

/** @typedef {{status: string[], priority: string[], function: string, q: string}} Filter */

export const isFiltered = ({ status, priority, function: name, q }) => Boolean(status.length || priority.length || name || q);

/** @param {Filter} filter @returns {URLSearchParams} */
export function toQuery(filter) {
  const query = new URLSearchParams();
  if (filter.status.length) query.set("status", filter.status.join(","));
  if (filter.priority.length) query.set("priority", filter.priority.join(","));
  if (filter.function) query.set("function", filter.function);
  if (filter.q) query.set("q", filter.q);
  return query;
}

/** @param {string} search the query string of an address @returns {Filter} */
export function fromAddress(search) {
  const query = new URLSearchParams(search);
  const list = (key) => (query.get(key) || "").split(",").filter(Boolean);
  return { status: list("status"), priority: list("priority"), function: query.get("function") || "", q: query.get("q") || "" };
}

/** @param {URLSearchParams} query @returns {string} with readable commas */
export const toText = (query) => query.toString().replaceAll("%2C", ",");

export const isSame = (one, other) => toText(toQuery(one)) === toText(toQuery(other));

/** Switch a status on or off; the empty status switches all off. @param {Filter} filter @returns {Filter} */
export function toggleStatus(filter, status) {
  const { status: on } = filter;
  const next = !status ? [] : on.includes(status) ? on.filter((other) => other !== status) : [...on, status];
  return { ...filter, status: next };
}

/** All tasks of a batch that match, as parameters of an action. @param {Filter} filter @param {string} batch its id */
export function selectedBy({ status, priority, function: name, q }, batch) {
  return {
    batch,
    ...(status.length && { status }),
    ...(priority.length && { priority }),
    ...(name && { function: name }),
    ...(q && { q }),
  };
}
