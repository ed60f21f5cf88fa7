/** The script of every page: local times, menus that close, and the class that hides what only pages without scripts need. */
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
