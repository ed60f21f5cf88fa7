/** One WebSocket after another to the same place, with backoff. It knows nothing of what the messages mean. */
import { delay } from "./backoff.js";

const SILENCE = 15_000; // three ticks missed: the connection is dead even if nobody said so
const FINAL = { 4401: "logged out", 4403: "not allowed", 4404: "this batch is gone" };

export class Socket {
  /**
   * @param {() => string} url asked anew for every connection
   * @param {{message: (data: object) => void, open: () => void, lost: (failures: number) => void,
   *          refused: (reason: string) => void}} on
   */
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.failures = 0;
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = 0;
    const { protocol, host } = location;
    const socket = new WebSocket(`${protocol === "https:" ? "wss:" : "ws:"}//${host}${this.url()}`);
    this.socket = socket;
    const mine = (handler) => (event) => this.socket === socket && handler(event);
    socket.onopen = mine(() => {
      this.watch();
      this.on.open();
    });
    socket.onmessage = mine((event) => {
      this.failures = 0;
      this.watch();
      this.on.message(JSON.parse(event.data));
    });
    socket.onclose = mine((event) => this.closed(event.code));
  }

  /** @param {object} data */
  send(data) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(data));
  }

  closed(code) {
    clearTimeout(this.silence);
    this.socket = null;
    if (code in FINAL) return this.on.refused(FINAL[code]);
    this.failures += 1;
    this.timer = setTimeout(() => this.connect(), delay(this.failures));
    this.on.lost(this.failures);
  }

  watch() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      const socket = this.socket;
      this.closed(1006);
      socket?.close();
    }, SILENCE);
  }

  /** The network or the reader is back: do not wait for the rest of the delay. */
  hurry() {
    if (this.timer) this.connect();
  }
}
