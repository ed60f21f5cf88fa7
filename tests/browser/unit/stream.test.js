import { Stream } from "/static/executor/js/live/stream.js";
import { equal, test, until } from "./harness.js";

/** The fake sockets. */
const sockets = [];
window.WebSocket = class {
  static OPEN = 1;
  readyState = 1;
  sent = [];
  constructor(url) {
    this.url = url;
    sockets.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {}
  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
};

const sign = { phase: "", set: (phase, reason = "") => Object.assign(sign, { phase, reason }), heard() {} };

function started(seq = 5) {
  const seen = [];
  const stream = new Stream({ socket: "/ws/b", events: "/api/events", batch: "/api/batch" }, seq, sign, {
    frames: (changes, at, batch) => seen.push([changes, at, batch]),
    snapshot: (batch) => seen.push(["snapshot", batch]),
  });
  stream.start();
  sockets[0].onopen();
  return { stream, seen, socket: sockets[0] };
}

const frame = (s0, seq, changes = []) => ({ t: "frames", s0, seq, changes, at: "now", batch: { seq } });

test("frames without a gap are applied in order and acknowledged", () => {
  const { seen, socket } = started();
  equal(socket.url.endsWith("/ws/b?after=5"), true);
  socket.say(frame(6, 6, [[1, "r"]]));
  socket.say(frame(7, 9, [[2, "c"]]));
  equal(seen.map(([changes]) => changes), [[[1, "r"]], [[2, "c"]]]);
  equal(socket.sent, [{ ack: 6 }, { ack: 9 }]);
  equal(sign.phase, "open");
});

test("a gap is requested again and the frame after it is not applied", () => {
  const { seen, socket } = started();
  socket.say(frame(8, 9));
  equal([seen, socket.sent, sign.phase], [[], [{ after: 5 }], "replaying"]);
  socket.say(frame(6, 9));
  equal(seen.length, 1);
});

test("duplicate frames are acknowledged and ignored", () => {
  const { seen, socket } = started();
  socket.say(frame(4, 5));
  equal([seen, socket.sent], [[], [{ ack: 5 }]]);
});

test("a tick behind newer frames requests them", () => {
  const { socket } = started();
  socket.say({ t: "tick", seq: 5 });
  socket.say({ t: "tick", seq: 7 });
  equal(socket.sent, [{ ack: 5 }, { after: 5 }]);
});

test("a snapshot replaces the earlier state", () => {
  const { stream, seen, socket } = started();
  socket.say({ t: "snapshot", seq: 40, batch: { seq: 40 } });
  equal([stream.seq, seen], [40, [["snapshot", { seq: 40 }]]]);
});

test("a refused socket ends the stream with the reason", () => {
  const { socket } = started();
  socket.onclose({ code: 4401 });
  equal([sign.phase, sign.reason, sockets.length], ["closed", "logged out", 1]);
});

test("frames are polled after three lost sockets", async () => {
  const urls = [];
  const answers = {
    "/api/events?after=5&wait=25": { seq: 7, frames: [{ seq: 6, changes: [[1, "r"]], at: "a" }, { seq: 7, changes: [[2, "c"]], at: "b" }] },
    "/api/batch": { seq: 7 },
  };
  window.fetch = async (url) => {
    urls.push(url);
    if (!(url in answers)) return new Promise(() => {});
    return new Response(JSON.stringify(answers[url]));
  };
  const { stream, seen } = started();
  for (const failures of [1, 2, 3]) stream.lost(failures);
  await until(() => seen.length);
  equal([seen, stream.seq, sign.phase], [[[[[1, "r"], [2, "c"]], "b", { seq: 7 }]], 7, "polling"]);
  equal(urls, Object.keys(answers));
});

test("a message on a socket ends the polling", () => {
  window.fetch = () => new Promise(() => {});
  const { stream, socket } = started();
  stream.lost(3);
  equal(stream.poll.stopped, false);
  socket.say(frame(6, 6));
  equal(stream.poll.stopped, true);
});
