/** Keeps the filter's form, the counts and the address in agreement. */
import { effect } from "@preact/signals";
import { rows } from "./rows.js";
import { clear } from "./selection.js";
import { cursor, filter, island, openedTask } from "./state.js";
import { fromAddress, isSame, toQuery, toText, toggleStatus } from "./task_filter.js";

const form = document.getElementById("filters");
const counts = [...document.querySelectorAll(".count")];
const DEBOUNCE = 250;

export function startFilters() {
  let timer = 0;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setFilter(fromForm());
  });
  form.addEventListener("change", (event) => event.target.name !== "q" && setFilter(fromForm()));
  form.elements.q.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => setFilter(fromForm()), DEBOUNCE);
  });
  for (const link of counts) link.addEventListener("click", (event) => countClicked(event, link.dataset.status));
  addEventListener("popstate", () => setFilter(fromAddress(location.search), false));
  effect(showFilter);
  effect(showAddress);
}

/** @param {import("./task_filter.js").Filter} next @param {boolean} [remember] as a step of the browser's history */
export function setFilter(next, remember = true) {
  if (isSame(next, filter.value)) return;
  if (remember) history.pushState(null, "", address(next, openedTask.peek()));
  filter.value = next;
  cursor.value = -1;
  clear();
  rows.reload(true);
}

function countClicked(event, status) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  setFilter(toggleStatus(filter.value, status));
}

function fromForm() {
  const { q, priority, function: name } = form.elements;
  return { ...filter.value, q: q.value.trim(), priority: priority.value ? [priority.value] : [], function: name.value };
}

function address(filtered, number) {
  const query = toQuery(filtered);
  if (number) query.set("task", number);
  const text = toText(query);
  return island.urls.page + (text ? `?${text}` : "");
}

function showAddress() {
  history.replaceState(history.state, "", address(filter.value, openedTask.value));
}

function showFilter() {
  const current = filter.value;
  const { q, priority, function: name, status } = form.elements;
  if (q !== document.activeElement) q.value = current.q;
  priority.value = current.priority.length === 1 ? current.priority[0] : "";
  name.value = current.function;
  if (status) status.value = current.status.join(",");
  for (const link of counts) {
    const { status: own } = link.dataset;
    const isOn = own ? current.status.includes(own) : !current.status.length;
    if (isOn) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  showExports(current.status);
}

function showExports(statuses) {
  for (const link of document.querySelectorAll("[data-export]")) {
    const only = statuses.length ? `&status=${statuses.join(",")}` : "";
    link.href = `${island.urls.export}?format=${link.dataset.export}${only}`;
  }
  const note = document.querySelector("[data-export-note]");
  note.textContent = statuses.length ? `Tasks that are ${statuses.join(" or ")}.` : "All tasks.";
}
