/** A question that must be answered before something happens to many tasks. */

/** @param {string} title @param {string} text @param {string} yes @returns {Promise<boolean>} */
export function confirmed(title, text, yes) {
  const dialog = document.createElement("dialog");
  dialog.className = "sheet";
  const head = Object.assign(document.createElement("h2"), { textContent: title });
  const words = Object.assign(document.createElement("p"), { textContent: text });
  const form = Object.assign(document.createElement("form"), { method: "dialog", className: "row" });
  for (const [value, label, kind] of [["", "Keep", "button"], ["yes", yes, "button primary"]]) {
    form.append(Object.assign(document.createElement("button"), { value, textContent: label, className: kind }));
  }
  dialog.append(head, words, form);
  document.body.append(dialog);
  dialog.showModal();
  form.lastElementChild.focus();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes");
    });
  });
}
