/** What every page has: local times, menus that close, no buttons that only the scriptless page needs. */
import { showTimes } from "./times.js";

document.documentElement.classList.add("scripted");

showTimes();
setInterval(() => document.hidden || showTimes(), 1000);

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
  event.stopImmediatePropagation();
}, true);
