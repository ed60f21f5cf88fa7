/** The sign of how current the page is: live, catching up, stale 14 s, offline. */
import { signal } from "@preact/signals-core";

const FRESH = 8_000; // a tick comes every 5 s
const OFFLINE_AFTER = 20_000;
const POLL_FRESH = 30_000;

export class Sign {
  /** @param {?HTMLElement} node the element of the sign */
  constructor(node) {
    this.node = node;
    this.kind = signal("catching up");
    this.heardAt = Date.now();
    /** "connecting" | "open" | "replaying" | "polling" | "closed" */
    this.phase = "connecting";
    this.reason = "";
    setInterval(() => this.show(), 500);
    addEventListener("online", () => this.show());
    addEventListener("offline", () => this.show());
    this.show();
  }

  /** A message came from the server. */
  heard() {
    this.heardAt = Date.now();
    this.show();
  }

  /** @param {string} phase @param {string} [reason] shown beside "offline" */
  set(phase, reason = "") {
    this.phase = phase;
    this.reason = reason;
    this.show();
  }

  /** @returns {[string, string]} kind and text */
  text() {
    const age = Date.now() - this.heardAt;
    const stale = ["stale", `stale ${Math.round(age / 1000)} s`];
    if (this.phase === "closed") return ["offline", `offline${this.reason ? ` – ${this.reason}` : ""}`];
    if (navigator.onLine === false) return ["offline", "offline"];
    if (this.phase === "polling") return age < POLL_FRESH ? ["live", "live"] : stale;
    if (this.phase === "open") return age < FRESH ? ["live", "live"] : stale;
    if (age < FRESH) return ["catching up", "catching up"];
    return age < OFFLINE_AFTER ? stale : ["offline", `offline for ${Math.round(age / 1000)} s`];
  }

  show() {
    const [kind, text] = this.text();
    this.kind.value = kind;
    if (!this.node) return;
    this.node.hidden = false;
    if (this.node.dataset.sign !== kind) this.node.dataset.sign = kind;
    if (this.node.textContent !== text) this.node.textContent = text;
  }
}
