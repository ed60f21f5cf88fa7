/** The filter: the form, the counts and the address always say the same. */
import { effect } from "@preact/signals";
import * as rows from "./rows.js";
import { clear } from "./selection.js";
import { cursor, filter, island, query, queryText, shownTask } from "./state.js";

const form = document.getElementById("filters");
const counts = [...document.querySelectorAll(".count")];
const TYPING = 250;

export function startFilters() {
  let timer = 0;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    change(typed());
  });
  form.addEventListener("change", (event) => event.target.name !== "q" && change(typed()));
  form.elements.q.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => change(typed()), TYPING);
  });
  for (const link of counts) link.addEventListener("click", (event) => countClicked(event, link.dataset.status));
  addEventListener("popstate", () => change(written(), false));
  effect(showFilter);
  effect(showAddress);
}

/** @param {import("./state.js").Filter} next @param {boolean} [remember] as a step of the browser's history */
export function change(next, remember = true) {
  if (queryText(query(next)) === queryText(query(filter.value))) return;
  if (remember) history.pushState(null, "", address(next, shownTask.peek()));
  filter.value = next;
  cursor.value = -1;
  clear();
  rows.reload(true);
}

function countClicked(event, status) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const on = filter.value.status;
  const next = !status ? [] : on.includes(status) ? on.filter((word) => word !== status) : [...on, status];
  change({ ...filter.value, status: next });
}

function typed() {
  const { q, priority, function: name } = form.elements;
  return { ...filter.value, q: q.value.trim(), priority: priority.value ? [priority.value] : [], function: name.value };
}

function written() {
  const given = new URLSearchParams(location.search);
  const words = (key) => (given.get(key) || "").split(",").filter(Boolean);
  return { status: words("status"), priority: words("priority"), function: given.get("function") || "", q: given.get("q") || "" };
}

const address = (given, number) => {
  const parts = query(given);
  if (number) parts.set("task", number);
  const text = queryText(parts);
  return island.urls.page + (text ? `?${text}` : "");
};

function showAddress() {
  history.replaceState(history.state, "", address(filter.value, shownTask.value));
}

function showFilter() {
  const given = filter.value;
  const { q, priority, function: name, status } = form.elements;
  if (q !== document.activeElement) q.value = given.q;
  priority.value = given.priority.length === 1 ? given.priority[0] : "";
  name.value = given.function;
  if (status) status.value = given.status.join(",");
  for (const link of counts) {
    const word = link.dataset.status;
    const on = word ? given.status.includes(word) : !given.status.length;
    if (on) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  for (const link of document.querySelectorAll("[data-export]")) {
    const only = given.status.length ? `&filter_status=${given.status.join(",")}` : "";
    link.href = `${island.urls.export}?format=${link.dataset.export}${only}`;
  }
  const exported = document.querySelector("[data-export-note]");
  exported.textContent = given.status.length ? `Tasks that are ${given.status.join(" or ")}.` : "All tasks.";
}
