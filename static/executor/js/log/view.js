/** The log of an attempt: read from the server, followed while it is written, with the styles of a terminal. */
import { count } from "../formatting.js";
import { get } from "../http.js";
import { delay } from "../live/backoff.js";
import { Ansi } from "./ansi.js";

const POLL_INTERVAL = 300;
const HIDDEN_POLL_INTERVAL = 2000; // while the tab is hidden
const MAX_LINES = 5000; // kept on the page
const END_MARGIN = 24; // pixels from the end that count as the end

export class LogView {
  /**
   * @param {HTMLElement} place an empty element; it stays hidden while the log is empty
   * @param {string} url of the log @param {number} attempt
   */
  constructor(place, url, attempt) {
    this.url = `${url}?attempt=${attempt}`;
    this.place = place;
    this.ansi = new Ansi();
    this.build(attempt);
    this.after = 0;
    this.stopped = false;
    this.run();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.abort?.abort();
  }

  build(attempt) {
    const head = element("div", "block-head");
    const title = element("h2", "", "Log ");
    title.append(element("span", "dim", `attempt ${attempt}`));
    this.follow = Object.assign(element("button", "button quiet small", "Follow"), { type: "button", hidden: true });
    this.follow.addEventListener("click", () => this.toEnd());
    head.append(title, this.follow);
    this.box = element("pre", "code log");
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "log");
    this.box.setAttribute("aria-live", "off"); // too much to be announced; the region can be focused and read
    this.box.setAttribute("aria-label", `Log of attempt ${attempt}`);
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.place.classList.add("block");
    this.place.hidden = true;
    this.place.replaceChildren(head, this.box);
    this.following = true;
    this.newLine();
  }

  async run() {
    for (let failures = 0; !this.stopped; ) {
      let wait = document.hidden ? HIDDEN_POLL_INTERVAL : POLL_INTERVAL;
      try {
        this.abort = new AbortController();
        const piece = await get(`${this.url}&after=${this.after}`, { signal: this.abort.signal });
        if (this.stopped) return;
        failures = 0;
        this.take(piece);
        if (piece.done) return this.ended();
        if (piece.next < piece.size) wait = 0;
      } catch (error) {
        if (this.stopped) return;
        if (error.status >= 400 && error.status < 500 && error.status !== 429) return; // it was cleared, or is not allowed
        failures += 1;
        wait = delay(failures);
      }
      await new Promise((done) => (this.timer = setTimeout(done, wait)));
    }
  }

  take(piece) {
    this.after = piece.next;
    if (piece.skipped) this.gap(piece.skipped);
    if (!piece.text) return;
    this.place.hidden = false;
    for (const run of this.ansi.feed(piece.text)) this.write(run);
    while (this.box.childElementCount > MAX_LINES) this.box.firstElementChild.remove();
    if (this.following) this.toEnd();
  }

  /** @param {import("./ansi.js").Run} run */
  write({ text, classes }) {
    if (text === "\r") {
      this.returned = true; // the next text overwrites this line
      return;
    }
    if (this.returned && text !== "\n") this.line.replaceChildren();
    this.returned = false;
    this.line.append(classes ? element("span", classes, text) : text);
    if (text.endsWith("\n")) this.newLine();
  }

  newLine() {
    this.line = element("span", "log-line");
    this.returned = false;
    this.box.append(this.line);
  }

  gap(bytes) {
    this.ansi.reset();
    this.line.append(element("span", "log-gap", `${count(bytes)} bytes not kept\n`));
    this.newLine();
  }

  ended() {
    this.follow.hidden = true;
    this.isComplete = true;
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.box;
    this.following = scrollHeight - scrollTop - clientHeight < END_MARGIN;
    this.follow.hidden = this.following || Boolean(this.isComplete);
  }

  toEnd() {
    this.box.scrollTop = this.box.scrollHeight;
    this.following = true;
    this.follow.hidden = true;
  }
}

function element(name, className, text = "") {
  return Object.assign(document.createElement(name), { className, textContent: text });
}
