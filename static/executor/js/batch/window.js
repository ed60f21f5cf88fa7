/** The rows in view when the page is scrolled, computed from the common height of all rows. */
import { signal } from "@preact/signals";

const OVERSCAN = 8; // rows drawn above and below the view
const MAX_HEIGHT = 12_000_000; // pixels; browsers clip taller elements. Longer lists scroll in proportion.

/** First and last row to draw, and the empty space above and below them in pixels */
export const drawn = signal({ first: 0, last: 49, above: 0, below: 0 });

let body = null;
let total = 0;

const rowHeight = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 36;

let requested = 0;
const scheduleMeasure = () => (requested ||= requestAnimationFrame(() => ((requested = 0), measure())));
addEventListener("scroll", scheduleMeasure, { passive: true });
addEventListener("resize", scheduleMeasure);
new ResizeObserver(scheduleMeasure).observe(document.body);

/** @param {?HTMLElement} node the table's body; null while the list is empty */
export function place(node) {
  body = node;
  if (node) scheduleMeasure();
}

export function setLength(length) {
  total = length;
  measure();
}

function geometry() {
  const row = rowHeight();
  const full = total * row;
  const height = Math.min(full, MAX_HEIGHT);
  const seen = innerHeight;
  return { row, height, seen, stretch: full > height ? (full - seen) / (height - seen) : 1 };
}

function measure() {
  if (!body) return;
  const { row, height, seen, stretch } = geometry();
  const scrolled = Math.min(Math.max(0, -body.getBoundingClientRect().top), height);
  const first = Math.max(0, Math.floor((scrolled * stretch) / row) - OVERSCAN);
  const last = Math.min(total - 1, Math.ceil((scrolled * stretch + seen) / row) + OVERSCAN);
  const above = stretch === 1 ? first * row : Math.max(0, Math.min(scrolled - OVERSCAN * row, height - (last - first + 1) * row));
  const below = Math.max(0, height - above - (last - first + 1) * row);
  const { value } = drawn;
  if (first !== value.first || last !== value.last || above !== value.above || below !== value.below) {
    drawn.value = { first, last, above, below };
  }
}

/** Scroll a row into view, beside the sticky head and the bulk bar. @param {number} index */
export function reveal(index) {
  const { row, stretch } = geometry();
  if (!body) return;
  const head = 48; // pixels
  const top = body.getBoundingClientRect().top + (index * row) / stretch;
  if (top < head) scrollBy(0, top - head - row);
  else if (top + row > innerHeight - 76) scrollBy(0, top + 2 * row - innerHeight + 76);
}
