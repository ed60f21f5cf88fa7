/** The same frames over plain HTTP, for where WebSockets do not get through. */
import { get } from "../http.js";
import { delay } from "./backoff.js";

const WAIT = 25;
const PAUSE = 400; // between two answers: a busy batch would otherwise be asked for without end

export class Poll {
  /**
   * @param {(after: number, wait: number) => string} url
   * @param {{answer: (data: object) => void, lost: () => void}} on
   */
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.stopped = true;
  }

  /** @param {() => number} seq the last frame that is known */
  async start(seq) {
    if (!this.stopped) return;
    this.stopped = false;
    for (let failures = 0; !this.stopped; ) {
      this.abort = new AbortController();
      try {
        const data = await get(this.url(seq(), WAIT), { signal: this.abort.signal });
        if (this.stopped) return;
        failures = 0;
        await this.on.answer(data);
        await new Promise((done) => setTimeout(done, PAUSE));
      } catch {
        if (this.stopped) return;
        failures += 1;
        this.on.lost();
        await new Promise((done) => setTimeout(done, delay(failures)));
      }
    }
  }

  stop() {
    this.stopped = true;
    this.abort?.abort();
  }
}
