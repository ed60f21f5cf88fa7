/**
 * A batch's log as a stream without holes: over the socket, or over long polls after three failed sockets.
 *
 * @typedef {[number, string, number, ?string, ?number, ?number, ?number, ?string, ?Array]} Change
 *   number, status letter, attempt, worker, started (epoch ms), duration (ms), retry in (ms), head of the error, and
 *   [done, total, text] where a running task said how far it is
 */
import { get } from "../http.js";
import { Poll } from "./poll.js";
import { Socket } from "./socket.js";

const TRIES = 3;

export class Stream {
  /**
   * @param {{socket: string, events: string, batch: string}} urls
   * @param {number} seq the frame that the page was rendered at
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
    if (!this.poll.stopped) return; // a proxy may let sockets open and then drop them: poll until one speaks
    this.sign.set("open");
    this.sign.heard();
  }

  lost(failures) {
    if (failures >= TRIES) this.poll.start(() => this.seq);
    else this.sign.set("connecting");
  }

  refused(reason) {
    this.poll.stop();
    this.sign.set("closed", reason);
  }

  receive(message) {
    this.poll.stop();
    if (message.t === "tick") {
      if (message.seq > this.seq) return this.ask();
      this.sign.set("open");
    } else if (message.t === "snapshot") {
      this.take(message.seq);
      this.on.snapshot(message.batch);
    } else if (message.s0 > this.seq + 1) {
      return this.ask();
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

  /** There is a hole: ask for everything after the last frame that was seen. */
  ask() {
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
