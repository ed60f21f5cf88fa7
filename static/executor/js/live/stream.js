/**
 * The log of a batch as a stream without gaps: over a socket, or by long polling after three failed sockets.
 *
 * @typedef {[number, string, number, ?string, ?number, ?number, ?number, ?string, ?Array]} Change
 *   number, status letter, attempt, worker, started (epoch ms), duration (ms), retry in (ms), head of the error, and
 *   the progress [done, total, text] of a running task
 */
import { get } from "../http.js";
import { Poll } from "./poll.js";
import { Socket } from "./socket.js";

const MAX_FAILURES = 3; // of sockets in a row

export class Stream {
  /**
   * @param {{socket: string, events: string, batch: string}} urls
   * @param {number} seq the last frame on the served page
   * @param {import("./sign.js").Sign} sign
   * @param {{frames: (changes: Change[], at: string, batch: object) => void, snapshot: (batch: object) => void}} on
   */
  constructor(urls, seq, sign, on) {
    Object.assign(this, { urls, seq, sign, on });
    this.socket = new Socket(() => `${urls.socket}?after=${this.seq}`, {
      open: () => this.opened(),
      message: (message) => this.receive(message),
      lost: (failures) => this.lost(failures),
      refused: (reason) => this.refused(reason),
    });
    this.poll = new Poll((after, wait) => `${urls.events}?after=${after}&wait=${wait}`, {
      answer: (data) => this.polled(data),
      lost: () => this.sign.set("connecting"),
    });
  }

  start() {
    this.sign.set("connecting");
    this.socket.connect();
  }

  opened() {
    if (!this.poll.stopped) return; // a proxy may open sockets and drop them: poll until a message comes
    this.sign.set("open");
    this.sign.heard();
  }

  lost(failures) {
    if (failures >= MAX_FAILURES) this.poll.start(() => this.seq);
    else this.sign.set("connecting");
  }

  refused(reason) {
    this.poll.stop();
    this.sign.set("closed", reason);
  }

  receive(message) {
    this.poll.stop();
    if (message.t === "tick") {
      if (message.seq > this.seq) return this.requestMissing();
      this.sign.set("open");
    } else if (message.t === "snapshot") {
      this.take(message.seq);
      this.on.snapshot(message.batch);
    } else if (message.s0 > this.seq + 1) {
      return this.requestMissing();
    } else if (message.seq > this.seq) {
      this.take(message.seq);
      this.on.frames(message.changes, message.at, message.batch);
    }
    this.socket.send({ ack: message.seq });
    this.sign.heard();
  }

  take(seq) {
    this.seq = seq;
    this.sign.set("open");
  }

  /** Frames are missing: request all after the last one. */
  requestMissing() {
    this.sign.set("replaying");
    this.socket.send({ after: this.seq });
  }

  async polled({ seq, frames, snapshot }) {
    this.sign.set("polling");
    this.sign.heard();
    if (snapshot) {
      this.seq = seq;
      this.on.snapshot(snapshot.batch);
      return;
    }
    const fresh = (frames || []).filter((frame) => frame.seq > this.seq);
    if (!fresh.length) return;
    const batch = await get(this.urls.batch);
    this.seq = fresh.at(-1).seq;
    this.on.frames(fresh.flatMap((frame) => frame.changes), fresh.at(-1).at, batch);
  }
}
