/** A dialog that asks before an action on many tasks. */

/** @param {string} title @param {string} text @param {string} action the label of its button @returns {Promise<boolean>} */
export function confirmed(title, text, action) {
  const dialog = document.createElement("dialog");
  dialog.className = "sheet";
  const heading = Object.assign(document.createElement("h2"), { textContent: title });
  const body = Object.assign(document.createElement("p"), { textContent: text });
  const form = Object.assign(document.createElement("form"), { method: "dialog", className: "row" });
  for (const [value, label, style] of [["", "Keep", "button"], ["yes", action, "button primary"]]) {
    form.append(Object.assign(document.createElement("button"), { value, textContent: label, className: style }));
  }
  dialog.append(heading, body, form);
  document.body.append(dialog);
  dialog.showModal();
  form.lastElementChild.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
