/** Which rows are in view when the page is scrolled. Rows have one height, so this is arithmetic alone. */
import { signal } from "@preact/signals";

const AROUND = 8;
const TALLEST = 12_000_000; // pixels; browsers cut taller elements. Longer lists scroll in proportion.

/** first and last row to draw, and the empty space above and below them in pixels */
export const drawn = signal({ first: 0, last: 49, above: 0, below: 0 });

let body = null;
let total = 0;

const rowHeight = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 36;

let asked = 0;
const later = () => (asked ||= requestAnimationFrame(() => ((asked = 0), measure())));
addEventListener("scroll", later, { passive: true });
addEventListener("resize", later);
new ResizeObserver(later).observe(document.body);

/** @param {?HTMLElement} node the table's body; null while the list is empty, and another one after that */
export function place(node) {
  body = node;
  if (node) later();
}

export function setLength(length) {
  total = length;
  measure();
}

function geometry() {
  const row = rowHeight();
  const full = total * row;
  const height = Math.min(full, TALLEST);
  const seen = innerHeight;
  return { row, height, seen, stretch: full > height ? (full - seen) / (height - seen) : 1 };
}

function measure() {
  if (!body) return;
  const { row, height, seen, stretch } = geometry();
  const scrolled = Math.min(Math.max(0, -body.getBoundingClientRect().top), height);
  const first = Math.max(0, Math.floor((scrolled * stretch) / row) - AROUND);
  const last = Math.min(total - 1, Math.ceil((scrolled * stretch + seen) / row) + AROUND);
  const above = stretch === 1 ? first * row : Math.max(0, Math.min(scrolled - AROUND * row, height - (last - first + 1) * row));
  const below = Math.max(0, height - above - (last - first + 1) * row);
  const { value } = drawn;
  if (first !== value.first || last !== value.last || above !== value.above || below !== value.below) {
    drawn.value = { first, last, above, below };
  }
}

/** Bring a row into view if it is not, with room for what sticks to the edges. @param {number} index */
export function reveal(index) {
  const { row, stretch } = geometry();
  if (!body) return;
  const head = 48;
  const top = body.getBoundingClientRect().top + (index * row) / stretch;
  if (top < head) scrollBy(0, top - head - row);
  else if (top + row > innerHeight - 76) scrollBy(0, top + 2 * row - innerHeight + 76);
}
