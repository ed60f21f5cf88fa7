/** Short messages. Successes disappear after a while, failures stay until they are closed. */

const DURATION = 5000;
const MAX_MESSAGES = 3;

/** @param {string} text @param {"success"|"error"} [level] */
export function toast(text, level = "success") {
  const box = document.getElementById("toasts");
  const item = document.createElement("div");
  item.className = "message toast";
  item.dataset.level = level;
  const message = document.createElement("span");
  message.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button quiet small";
  close.textContent = "Close";
  close.addEventListener("click", () => item.remove());
  item.append(message, close);
  while (box.childElementCount >= MAX_MESSAGES) box.firstElementChild.remove();
  box.append(item);
  if (level !== "error") setTimeout(() => item.remove(), DURATION);
}

/** Show the outcome of an action. @param {Promise<{message: string}>} work @returns {Promise<boolean>} */
export async function showOutcome(work) {
  try {
    toast((await work).message);
    return true;
  } catch (error) {
    toast(error instanceof TypeError ? "The server cannot be reached; nothing was changed." : error.message, "error");
    return false;
  }
}
