import assert from "node:assert/strict";
import { has, notRecovered, ORDINARY, recovered } from "./scene.mjs";

export default {
  // What was published while the client was away comes when it is back, in order.
  "a cut": async (s) => {
    const channel = s.channel("stream");
    const line = await s.line();
    const c = await s.connect(line.url, { token: s.token("a") });
    const sub = await s.enter(c, channel);
    has(sub.granted, { recoverable: true, positioned: true, wasRecovering: false });
    for (let n = 1; n <= 3; n++) {
      await s.publish(channel, n);
      await s.expect(sub, n, { offset: n });
    }
    await s.cut(line, c);
    assert.equal((await sub.saw.subscribing.next()).code, 1);
    for (let n = 4; n <= 6; n++) await s.publish(channel, n);
    line.mend();
    assert.notEqual((await c.saw.connected.next()).client, c.id);
    has(await sub.saw.subscribed.next(), recovered);
    await s.publish(channel, 7);
    for (let n = 4; n <= 7; n++) await s.expect(sub, n, { offset: n });
  },

  // Publications that meet the recovery are neither lost nor doubled.
  "cuts while others publish": async (s) => {
    const channel = s.channel("stream");
    const line = await s.line();
    const c = await s.connect(line.url, { token: s.token("a") });
    const sub = await s.enter(c, channel);
    let sent = 0;
    const publish = () => {
      assert.ok(sent < 9000, "the client did not come back"); // the history has room for that many
      return s.publish(channel, ++sent);
    };
    for (let round = 0; round < 3; round++) {
      await publish();
      line.cut();
      await publish();
      await c.saw.connecting.next("the cut");
      line.mend();
      while (sub.saw.subscribed.events.length === 0) await publish();
      has(await sub.saw.subscribed.next(), recovered);
    }
    for (let n = 1; n <= sent; n++) await s.expect(sub, n, { offset: n });
  },

  // The client learns that it has missed something, and goes on with what comes.
  "history was too short": async (s) => {
    const channel = s.channel("short");
    const line = await s.line();
    const c = await s.connect(line.url, { token: s.token("a") });
    const sub = await s.enter(c, channel);
    await s.publish(channel, 1);
    await s.expect(sub, 1, { offset: 1 });
    await s.cut(line, c);
    for (let n = 2; n <= 4; n++) await s.publish(channel, n); // the history has room for two
    line.mend();
    const again = await sub.saw.subscribed.next();
    has(again, notRecovered);
    assert.equal(again.streamPosition.offset, 4);
    await s.publish(channel, 5);
    await s.expect(sub, 5, { offset: 5 });

    await s.cut(line, c);
    await s.publish(channel, 6);
    await s.publish(channel, 7);
    line.mend();
    has(await sub.saw.subscribed.next(), recovered);
    await s.expect(sub, 6, { offset: 6 });
    await s.expect(sub, 7, { offset: 7 });
  },

  // In cache mode a client gets the newest publication, when it comes and when it comes back; so does one that the server subscribes.
  "the latest alone": async (s) => {
    const channel = s.channel("cache");
    const forced = `${channel}-forced`;
    const publish = (n) => Promise.all([s.publish(channel, n), s.publish(forced, n)]);
    await publish(1);
    await publish(2);
    const line = await s.line();
    const c = await s.connect(line.url, { token: s.token("a", { channels: [forced] }) });
    const latest = async (n) => {
      has(await c.saw.subscribed.next(), { channel: forced, ...recovered });
      await s.expect(c, n, { offset: n, channel: forced });
    };
    await latest(2);
    const sub = await s.enter(c, channel, { since: { offset: 0, epoch: "" } });
    has(sub.granted, recovered);
    await s.expect(sub, 2, { offset: 2 });

    await s.cut(line, c);
    for (let n = 3; n <= 5; n++) await publish(n);
    line.mend();
    await latest(5);
    has(await sub.saw.subscribed.next(), recovered);
    await s.expect(sub, 5, { offset: 5 });
    await publish(6);
    await s.expect(sub, 6, { offset: 6 });
    await s.expect(c, 6, { offset: 6, channel: forced });

    const empty = await s.connect(ORDINARY, { token: s.token("b") });
    has((await s.enter(empty, `${channel}-empty`, { since: { offset: 0, epoch: "" } })).granted, notRecovered);
  },
};
