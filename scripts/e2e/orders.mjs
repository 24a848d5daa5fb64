import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { after, has, notRecovered, ORDINARY, recovered } from "./scene.mjs";

export default {
  // A client that the API unsubscribes stays so.
  "unsubscribe": async (s) => {
    const [channel, witness] = [s.channel("stream"), s.channel("plain")];
    const c = await s.connect(ORDINARY, { token: s.token("a") });
    const sub = await s.enter(c, channel);
    const see = await s.enter(c, witness);
    await s.publish(channel, 1);
    await s.api("unsubscribe", { user: s.user("a"), channel });
    await s.publish(channel, 2);
    await s.expect(sub, 1, { offset: 1 });
    assert.deepEqual(await sub.saw.unsubscribed.next(), { channel, code: 2000, reason: "server unsubscribe" });
    await s.publish(witness, 3);
    await s.expect(see, 3);
    assert.deepEqual([...sub.saw.publication.events, ...sub.saw.subscribing.events], []);
    assert.equal(sub.state, "unsubscribed");
    sub.subscribe(); // by its own will it may, from where it was
    has(await sub.saw.subscribed.next(), recovered);
    await s.expect(sub, 2, { offset: 2 });
  },

  // A stream that was forgotten and began anew ends subscriptions with 2500, and connections that have it from the server with 3010. Both
  // come back by themselves and learn that they have missed something.
  "a stream that was lost": async (s) => {
    const channel = s.channel("fleeting");
    const c = await s.connect(ORDINARY, { token: s.token("a") });
    const sub = await s.enter(c, channel);
    const first = sub.granted.streamPosition.epoch;
    const taken = await s.connect(ORDINARY, { token: s.token("b", { channels: [channel] }) });
    await taken.saw.subscribed.next();

    let epoch = first;
    for (let n = 1; epoch === first; n++) {
      ({ epoch } = await s.publish(channel, n));
      if (epoch === first) {
        await s.expect(sub, n, { offset: n });
        await s.expect(taken, n, { offset: n });
        assert.ok(n < 5, "the stream is not forgotten");
        await wait(2100); // it is forgotten 1 s after its last publication, or a second later
      }
    }
    has(await sub.saw.subscribing.next(), { code: 2500, reason: "insufficient state" });
    const again = await sub.saw.subscribed.next();
    has(again, notRecovered);
    assert.equal(again.streamPosition.epoch, epoch);
    has(await taken.saw.connecting.next(), { code: 3010, reason: "insufficient state" });
    has(await taken.saw.subscribed.next(), notRecovered);
  },

  // The code says whether a client comes back.
  "disconnect": async (s) => {
    for (const [code, again] of [[3011, true], [3499, true], [4000, true], [4499, true], [4999, false], [3500, false], [4500, false]]) {
      const c = await s.connect(ORDINARY, { token: s.token(code) });
      await s.api("disconnect", { user: s.user(code), disconnect: { code, reason: "as ordered" } });
      const event = again ? c.saw.connecting : c.saw.disconnected;
      has(await event.next(`code ${code}`), { code, reason: "as ordered" });
      if (again) await c.saw.connected.next(`connected again after ${code}`);
      else assert.equal(c.state, "disconnected");
    }
    const c = await s.connect(ORDINARY, { token: s.token("a") });
    await s.api("disconnect", { user: s.user("a") });
    has(await c.saw.disconnected.next(), { code: 3503, reason: "force disconnect" });
  },

  // An order for one client, or for all but one, of a user.
  "one connection of several": async (s) => {
    const [user, channel, token] = [s.user("a"), s.channel("plain"), s.token("a")];
    const kept = await s.connect(ORDINARY, { token });
    const one = await s.connect(ORDINARY, { token });
    const other = await s.connect(ORDINARY, { token });
    const sub = await s.enter(kept, channel);
    await s.api("disconnect", { user, client: one.id });
    await one.saw.disconnected.next();
    assert.deepEqual(other.saw.disconnected.events, []);
    await s.api("disconnect", { user, whitelist: [kept.id] });
    await other.saw.disconnected.next();
    await s.publish(channel, 1);
    await s.expect(sub, 1);
    assert.deepEqual([...kept.saw.disconnected.events, ...kept.saw.connecting.events], []);
  },

  // The API gives a connection other info, prolongs it, and ends it; the SDK comes back then, with its token.
  "refresh": async (s) => {
    const user = s.user("a");
    const c = await s.connect(ORDINARY, { token: s.token("a", { info: { role: "guest" } }) });
    await s.api("refresh", { user, info: { role: "host" }, expire_at: after(3600) });
    const sub = await s.enter(c, s.channel("room"));
    const own = await sub.saw.join.next();
    assert.equal(own.info.client, c.id);
    assert.deepEqual(s.decode(own.info.connInfo), { role: "host" });
    for (const end of [{ expired: true }, { expire_at: after(-60) }]) {
      await s.api("refresh", { user, ...end });
      has(await c.saw.connecting.next(), { code: 3005, reason: "connection expired" });
      await c.saw.connected.next();
      await sub.saw.subscribed.next();
    }
  },

  // Commands of one request, each with its effect.
  "a batch": async (s) => {
    const [a, b, room, locked] = ["stream", "plain", "room", "locked"].map(s.channel);
    const c = await s.connect(ORDINARY, { token: s.token("a") });
    const victim = await s.connect(ORDINARY, { token: s.token("b") });
    const [subA, subB] = [await s.enter(c, a), await s.enter(c, b)];
    await s.enter(c, room);
    for (const parallel of [false, true]) {
      const commands = [
        { publish: { channel: a, data: { n: 1 } } },
        { broadcast: { channels: [a, b], data: { n: 1 } } },
        { presence: { channel: room } },
        { presence_stats: { channel: room } },
        { publish: { channel: "unknown:1", data: 1 } },
        {},
      ];
      if (!parallel) { // these need their order
        commands.push(
          { history: { channel: a, limit: 10 } },
          { subscribe: { channel: locked, user: s.user("a") } },
          { publish: { channel: locked, data: { n: 2 } } },
          { unsubscribe: { channel: locked, user: s.user("a") } },
          { disconnect: { user: s.user("b") } },
        );
      }
      const { replies } = await s.post("batch", { parallel, commands });
      assert.equal(replies.length, commands.length);
      assert.equal(replies[1].broadcast.responses.length, 2);
      assert.deepEqual(Object.keys(replies[2].presence.presence), [c.id]);
      assert.deepEqual(replies[3].presence_stats, { num_clients: 1, num_users: 1 });
      assert.deepEqual([replies[4].error.code, replies[5].error.code], [102, 104]);
      if (!parallel) {
        assert.deepEqual(replies[6].history.publications, [{ data: { n: 1 }, offset: 1 }, { data: { n: 1 }, offset: 2 }]);
      }
      const offset = parallel ? 3 : 1;
      await s.expect(subA, 1, { offset });
      await s.expect(subA, 1, { offset: offset + 1 });
      await s.expect(subB, 1);
    }
    assert.equal((await c.saw.subscribed.next()).channel, locked);
    await s.expect(c, 2, { channel: locked });
    assert.equal((await c.saw.unsubscribed.next()).channel, locked);
    assert.equal((await victim.saw.disconnected.next()).code, 3503);
  },
};
