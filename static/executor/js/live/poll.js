/** Frames by long polling, where WebSockets are blocked. */
import { get } from "../http.js";
import { delay } from "./backoff.js";

const WAIT = 25; // seconds that the server holds a request without frames
const PAUSE = 400; // milliseconds between requests, which a busy batch answers at once

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

  /** @param {() => number} seq the last known frame */
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
