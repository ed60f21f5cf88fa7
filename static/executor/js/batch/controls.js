/** The forms of the head, without leaving the page. They post to the API what they would post to their views. */
import { act } from "../http.js";
import { tell } from "../toast.js";
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
  const given = Object.fromEntries(new FormData(form));
  const parameters = { batch: batch.value.batch_id };
  if (given.max_concurrent) parameters.max_concurrent = Number(given.max_concurrent);
  if (given.name) parameters.name = given.name;
  if (given.force) parameters.force = true;
  const button = form.querySelector("button");
  button.disabled = true;
  const done = await tell(act(form.dataset.action, parameters));
  button.disabled = false;
  if (done) form.closest("details.menu")?.removeAttribute("open");
}
