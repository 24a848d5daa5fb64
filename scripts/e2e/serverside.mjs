import assert from "node:assert/strict";
import { has, ORDINARY, recovered, signed, SPECIAL } from "./scene.mjs";

export default {
  // The channels of a connection token, with their options, joins, publications, and recovery after a cut.
  "what the token says": async (s) => {
    const [stream, room] = [s.channel("stream"), s.channel("room")];
    const line = await s.line();
    const c = await s.connect(line.url, {
      token: s.token("a", { subs: { [stream]: { data: { d: 1 } }, [room]: { info: { seat: "a" } } } }),
    });
    const enter = async (again) => {
      const two = [await c.saw.subscribed.next(), await c.saw.subscribed.next()]; // in whatever order
      const of = Object.fromEntries(two.map((e) => [e.channel, e]));
      has(of[stream], { recoverable: true, positioned: true, wasRecovering: again, recovered: again });
      assert.deepEqual(s.decode(of[stream].data), { d: 1 });
      has(of[room], { recoverable: false, positioned: false, wasRecovering: false, recovered: false });
    };
    await enter(false);
    const own = await c.saw.join.next("own join");
    has(own, { channel: room });
    has(own.info, { user: s.user("a"), client: c.id });
    assert.deepEqual(s.decode(own.info.chanInfo), { seat: "a" });
    const other = await s.connect(ORDINARY, { token: s.token("b", { channels: [room] }) });
    const join = await c.saw.join.next("join of b");
    has(join, { channel: room });
    has(join.info, { user: s.user("b"), client: other.id });
    other.disconnect();
    const leave = await c.saw.leave.next("leave of b");
    has(leave, { channel: room });
    has(leave.info, { client: other.id });
    await s.publish(stream, 1);
    await s.expect(c, 1, { offset: 1, channel: stream });

    await s.cut(line, c);
    await s.publish(stream, 2);
    await s.publish(stream, 3);
    line.mend();
    await enter(true);
    await s.publish(stream, 4);
    for (let n = 2; n <= 4; n++) await s.expect(c, n, { offset: n, channel: stream });
  },

  // Channels into which and out of which the API takes a client that has no rights of its own.
  "what the API says": async (s) => {
    const [locked, stream, user] = [s.channel("locked"), s.channel("stream"), s.user("a")];
    const line = await s.line();
    const c = await s.connect(line.url, { token: s.token("a") });
    await s.api("subscribe", { user, channel: locked, data: { d: 1 } });
    const granted = await c.saw.subscribed.next();
    has(granted, { channel: locked, recoverable: false });
    assert.deepEqual(s.decode(granted.data), { d: 1 });
    await s.publish(locked, 1);
    await s.expect(c, 1, { channel: locked });

    await s.publish(stream, 1);
    await s.publish(stream, 2);
    await s.api("subscribe", { user, channel: stream, recover_since: { offset: 1 } });
    has(await c.saw.subscribed.next(), { channel: stream, recoverable: true });
    await s.expect(c, 2, { offset: 2, channel: stream });

    await s.api("unsubscribe", { user, channel: locked });
    assert.equal((await c.saw.unsubscribed.next()).channel, locked);
    await s.publish(locked, 2); // would come before the next, if it did
    await s.publish(stream, 3);
    await s.expect(c, 3, { offset: 3, channel: stream });

    // A client that comes back asks for what it had. It has the right to the one, not to the other.
    await s.api("subscribe", { user, channel: locked });
    await c.saw.subscribed.next();
    await s.cut(line, c);
    await s.publish(stream, 4);
    line.mend();
    has(await c.saw.subscribed.next(), { channel: stream, ...recovered });
    await s.expect(c, 4, { offset: 4, channel: stream });
    assert.equal((await c.saw.unsubscribed.next()).channel, locked);
  },

  // Every user has one, and it is recovered.
  "the personal channel": async (s) => {
    const channel = `me:#${s.user("a")}`;
    const line = await s.line(SPECIAL);
    const c = await s.connect(line.url, { token: signed("EdDSA", s.user("a")) });
    has(await c.saw.subscribed.next(), { channel, recoverable: true, wasRecovering: false });
    await s.publish(channel, 1, SPECIAL);
    await s.expect(c, 1, { offset: 1, channel });
    await s.cut(line, c);
    await s.publish(channel, 2, SPECIAL);
    line.mend();
    has(await c.saw.subscribed.next(), { channel, ...recovered });
    await s.expect(c, 2, { offset: 2, channel });
  },
};
