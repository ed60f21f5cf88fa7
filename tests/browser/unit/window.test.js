import { drawn, place, reveal, setLength } from "/static/executor/js/batch/window.js";
import { equal, test } from "./harness.js";

const ROW = 36; // without the style sheets

function table() {
  const body = document.createElement("div");
  document.body.replaceChildren(body);
  place(body);
  return body;
}

function resize(body) {
  const { first, last, above, below } = drawn.value;
  body.style.height = `${above + below + (last - first + 1) * ROW}px`;
}

test("only rows in view and some around are drawn", () => {
  const body = table();
  setLength(1000);
  resize(body);
  equal(drawn.value.first, 0);
  equal(drawn.value.last, Math.ceil(innerHeight / ROW) + 8);
  equal(drawn.value.below, (1000 - drawn.value.last - 1) * ROW);
});

test("a short list is drawn whole", () => {
  table();
  setLength(3);
  equal([drawn.value.first, drawn.value.last, drawn.value.above, drawn.value.below], [0, 2, 0, 0]);
});

test("a row out of view is brought into view", () => {
  const body = table();
  setLength(1000);
  resize(body);
  reveal(500);
  setLength(1000);
  equal(drawn.value.first < 500 && drawn.value.last > 500, true);
});

test("a list above the maximum height of an element scrolls in proportion", () => {
  const body = table();
  setLength(1_000_000);
  resize(body);
  scrollTo(0, document.body.scrollHeight);
  setLength(1_000_000);
  equal(drawn.value.last, 999_999);
});
