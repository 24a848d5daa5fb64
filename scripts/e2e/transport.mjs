import assert from "node:assert/strict";
import WebSocket from "ws";
import { Noted, signed, SPECIAL } from "./scene.mjs";

// A constructor of WebSockets for the SDK that keeps the last one.
function watched() {
  return class Watched extends WebSocket {
    constructor(...args) {
      super(...args);
      Watched.last = this;
    }
  };
}

export default {
  // What repeats itself crosses the wire in a small part of its bytes, in both directions.
  "compression": async (s) => {
    const channel = s.channel("chat");
    const line = await s.line(SPECIAL);
    const websocket = watched(); // the package ws offers compression
    const c = await s.connect(line.url, { websocket, token: signed("EdDSA", s.user("a")) });
    assert.match(websocket.last.extensions, /permessage-deflate/);
    const sub = await s.enter(c, channel);
    const text = "over and over ".repeat(3000);
    for (const publish of [() => s.api("publish", { channel, data: text }, SPECIAL), () => sub.publish(s.encode(text))]) {
      await publish();
      assert.equal(s.decode((await sub.saw.publication.next()).data), text);
    }
    assert.ok(line.fromServer < 8192 && line.toServer < 8192, `${line.fromServer} bytes from the server, ${line.toServer} to it`);
  },

  // The pings of WebSocket itself, in place of those of the protocol, if the client asks for them.
  "pings by control frames": async (s) => {
    const channel = s.channel("chat");
    const websocket = watched();
    const c = await s.connect(`${SPECIAL}?cf_ws_frame_ping_pong=true`, { websocket, token: signed("EdDSA", s.user("a")) });
    const sub = await s.enter(c, channel);
    const pings = new Noted(websocket.last, "ping");
    const short = [];
    websocket.last.on("message", (data) => data.length <= 2 && short.push(data)); // {} in JSON, one byte in Protobuf
    await pings.next("first ping");
    await pings.next("second ping"); // it comes only after the pong of the first
    await s.publish(channel, 1, SPECIAL);
    await s.expect(sub, 1);
    assert.deepEqual([...short, ...c.saw.connecting.events], []);
  },
};
