/** Requests to the JSON API. */

/** An answer that says no, in the words of its problem document. */
export class Refused extends Error {
  /** @param {number} status @param {{detail?: string, fix?: string, errors?: object[]}} problem */
  constructor(status, problem) {
    super([problem.detail || `The server answered ${status}.`, problem.fix].filter(Boolean).join(" "));
    this.status = status;
    this.errors = problem.errors || [];
  }
}

const token = () => document.querySelector("input[name=csrfmiddlewaretoken]")?.value || "";

async function answered(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new Refused(response.status, body || {});
}

/** @param {string} url @param {{signal?: AbortSignal}} [options] */
export async function get(url, options = {}) {
  return answered(await fetch(url, { headers: { Accept: "application/json" }, ...options }));
}

/**
 * Do one of the actions.
 * @param {string} action @param {object} parameters
 * @returns {Promise<{ok: boolean, message: string, data: object}>}
 */
export async function act(action, parameters) {
  const response = await fetch(`/api/${action}`, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token() },
    body: JSON.stringify(parameters),
  });
  return answered(response);
}
