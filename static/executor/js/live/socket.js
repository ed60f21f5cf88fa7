/** A WebSocket that reconnects with backoff; it does not interpret messages. */
import { delay } from "./backoff.js";

const SILENCE_TIMEOUT = 15_000; // three missed ticks: the connection is dead, although it was not closed
const FINAL_CODES = { 4401: "logged out", 4403: "not allowed", 4404: "this batch is gone" };

export class Socket {
  /**
   * @param {() => string} url called for every connection
   * @param {{message: (data: object) => void, open: () => void, lost: (failures: number) => void,
   *          refused: (reason: string) => void}} on
   */
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.failures = 0;
    addEventListener("online", () => this.reconnectNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.reconnectNow());
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
    if (code in FINAL_CODES) return this.on.refused(FINAL_CODES[code]);
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
    }, SILENCE_TIMEOUT);
  }

  /** The network or the reader is back: skip the rest of the delay. */
  reconnectNow() {
    if (this.timer) this.connect();
  }
}
