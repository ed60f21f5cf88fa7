/**
 * The output of a terminal as text with styles: colours, bold, underline and others. Other escapes are dropped.
 *
 * @typedef {{text: string, classes: string}} Run  text without line breaks in the middle: "\n" ends one, "\r" is one
 */

const WHOLE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|(?![[\]PX^_])[ -/]*[0-~])/g;
const CUT = /\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)$/;
const LONGEST = 4096; // a longer sequence without an end is text
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g;
const LINES = /[^\r\n]*\r?\n|\r|[^\r\n]+/g;

const ON = { 1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const OFF = { 22: ["bold", "faint"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"] };

export class Ansi {
  constructor() {
    this.reset();
  }

  /** Forget the style and an incomplete escape, because bytes are missing before the next text. */
  reset() {
    this.rest = "";
    this.plain();
  }

  plain() {
    this.marks = new Set();
    this.front = null;
    this.back = null;
  }

  /** @param {string} text the next part of the output, split at any place @returns {Run[]} */
  feed(text) {
    let all = this.rest + text;
    const cut = CUT.exec(all) || /\r$/.exec(all);
    this.rest = cut && all.length - cut.index <= LONGEST ? all.slice(cut.index) : "";
    if (this.rest) all = all.slice(0, cut.index);
    const runs = [];
    let at = 0;
    for (const found of all.matchAll(WHOLE)) {
      this.add(runs, all.slice(at, found.index));
      at = found.index + found[0].length;
      if (found[2] === "m" && /^[\d;:]*$/.test(found[1])) this.style(found[1]);
    }
    this.add(runs, all.slice(at));
    return runs;
  }

  add(runs, text) {
    const classes = this.classes();
    for (const line of text.replace(CONTROL, "").match(LINES) || []) runs.push({ text: line.replace("\r\n", "\n"), classes });
  }

  classes() {
    const words = [...this.marks];
    if (this.front != null) words.push(`fg-${this.front}`);
    if (this.back != null) words.push(`bg-${this.back}`);
    return words.map((word) => `ansi-${word}`).join(" ");
  }

  style(parameters) {
    const codes = parameters.split(/[;:]/).map(Number);
    for (let at = 0; at < codes.length; at += 1) {
      const code = codes[at];
      if (code === 0) this.plain();
      else if (ON[code]) this.marks.add(ON[code]);
      else if (OFF[code]) OFF[code].forEach((mark) => this.marks.delete(mark));
      else if (code === 38 || code === 48) {
        const [colour, used] = extended(codes.slice(at + 1));
        if (code === 38) this.front = colour;
        else this.back = colour;
        at += used;
      } else this.colour(code);
    }
  }

  colour(code) {
    if (code >= 30 && code <= 37) this.front = code - 30;
    else if (code >= 90 && code <= 97) this.front = code - 82;
    else if (code === 39) this.front = null;
    else if (code >= 40 && code <= 47) this.back = code - 40;
    else if (code >= 100 && code <= 107) this.back = code - 92;
    else if (code === 49) this.back = null;
  }
}

/** `5;n` and `2;r;g;b` as the nearest of the eight plain colours. @returns {[?number, number]} the colour, and the number of codes */
function extended([kind, first, second, third]) {
  if (kind === 5) return [first < 16 ? first : first < 232 ? nearest(cube(first - 16)) : grey((first - 232) * 10), 2];
  if (kind === 2) return [nearest([first, second, third]), 4];
  return [null, 1];
}

const cube = (value) => [Math.floor(value / 36), Math.floor(value / 6) % 6, value % 6].map((part) => part * 51);

const grey = (light) => (light < 128 ? 8 : 7);

function nearest(parts) {
  const most = Math.max(...parts);
  if (most - Math.min(...parts) < 32) return grey(most);
  return parts.reduce((bits, part, place) => bits + (part > most * 0.6 ? 1 << place : 0), 0);
}
