/** Requests to the JSON API. */

/** An error answer, with the message of its problem document. */
export class ProblemError extends Error {
  /** @param {number} status @param {{detail?: string, fix?: string, errors?: object[]}} problem */
  constructor(status, problem) {
    super([problem.detail || `The server answered ${status}.`, problem.fix].filter(Boolean).join(" "));
    this.status = status;
    this.errors = problem.errors || [];
  }
}

const token = () => document.querySelector("input[name=csrfmiddlewaretoken]")?.value || "";

async function parsed(response) {
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new ProblemError(response.status, body || {});
}

/** @param {string} url @param {{signal?: AbortSignal}} [options] */
export async function get(url, options = {}) {
  return parsed(await fetch(url, { headers: { Accept: "application/json" }, ...options }));
}

/**
 * Run an action.
 * @param {string} action @param {object} parameters
 * @returns {Promise<{ok: boolean, message: string, data: object}>}
 */
export async function act(action, parameters) {
  const response = await fetch(`/api/${action}`, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token() },
    body: JSON.stringify(parameters),
  });
  return parsed(response);
}
