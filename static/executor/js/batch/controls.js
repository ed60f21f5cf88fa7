/** Sends the forms of the batch's head to the API, without leaving the page. */
import { act } from "../http.js";
import { showOutcome } from "../toast.js";
import { batch } from "./state.js";

export function startControls() {
  for (const form of document.querySelectorAll("form[data-action]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit(form);
    });
  }
}

async function submit(form) {
  const { csrfmiddlewaretoken, filter, ...values } = Object.fromEntries(new FormData(form));
  const parameters = { ...values, batch: batch.value.batch_id };
  const button = form.querySelector("button");
  button.disabled = true;
  const done = await showOutcome(act(form.dataset.action, parameters));
  button.disabled = false;
  if (done) form.closest("details.menu")?.removeAttribute("open");
}
