/** Short messages that go away by themselves. Failures stay until they are closed. */

const STAY = 5000;
const AT_MOST = 3;

/** @param {string} text @param {"success"|"error"} [level] */
export function toast(text, level = "success") {
  const box = document.getElementById("toasts");
  const item = document.createElement("div");
  item.className = "message toast";
  item.dataset.level = level;
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button quiet small";
  close.textContent = "Close";
  close.addEventListener("click", () => item.remove());
  item.append(words, close);
  while (box.childElementCount >= AT_MOST) box.firstElementChild.remove();
  box.append(item);
  if (level !== "error") setTimeout(() => item.remove(), STAY);
}

/** Run something and tell its outcome. @param {Promise<{message: string}>} work @returns {Promise<boolean>} */
export async function tell(work) {
  try {
    toast((await work).message);
    return true;
  } catch (error) {
    toast(error instanceof TypeError ? "The server cannot be reached; nothing was changed." : error.message, "error");
    return false;
  }
}
