import assert from "node:assert/strict";
import { ORDINARY } from "./scene.mjs";

export default {
  // Presence, its numbers, joins and leaves, with what tokens say of connection and subscription.
  "who is here": async (s) => {
    const channel = s.channel("room");
    const enter = async (name) => {
      const c = await s.connect(ORDINARY, { token: s.token(name, { info: { name } }) });
      const sub = await s.enter(c, channel, { token: s.token(name, { channel, info: { seat: name } }) });
      return [c, sub];
    };
    const is = (got, name, c) => {
      const plain = { user: got.user, client: got.client, connInfo: s.decode(got.connInfo), chanInfo: s.decode(got.chanInfo) };
      assert.deepEqual(plain, { user: s.user(name), client: c.id, connInfo: { name }, chanInfo: { seat: name } });
    };
    const [clientA, a] = await enter("a");
    is((await a.saw.join.next("own join")).info, "a", clientA);
    const [clientB, b] = await enter("b");
    is((await a.saw.join.next("join of b at a")).info, "b", clientB);
    is((await b.saw.join.next("own join of b")).info, "b", clientB);
    const [twin, twinSub] = await enter("b");
    is((await a.saw.join.next("second join of b at a")).info, "b", twin);

    const { clients } = await a.presence();
    assert.deepEqual(Object.keys(clients).sort(), [clientA.id, clientB.id, twin.id].sort());
    is(clients[clientA.id], "a", clientA);
    is(clients[clientB.id], "b", clientB);
    is(clients[twin.id], "b", twin);
    assert.deepEqual({ ...(await a.presenceStats()) }, { numClients: 3, numUsers: 2 });

    b.unsubscribe();
    is((await a.saw.leave.next("leave of b")).info, "b", clientB);
    is((await twinSub.saw.leave.next("leave of b at its twin")).info, "b", clientB);
    twin.disconnect();
    is((await a.saw.leave.next("leave of the twin")).info, "b", twin);
    assert.deepEqual({ ...(await a.presenceStats()) }, { numClients: 1, numUsers: 1 });
  },

  // Joins come only to those who ask for them and may, and presence is refused to others.
  "joins without a right to presence": async (s) => {
    const channel = s.channel("quiet");
    const c = await s.connect(ORDINARY, { token: s.token("a") });
    const asks = await s.enter(c, channel, { joinLeave: true });
    assert.equal((await asks.saw.join.next("own join")).info.user, s.user("a"));
    const other = await s.connect(ORDINARY, { token: s.token("b") });
    const silent = await s.enter(other, channel);
    assert.equal((await asks.saw.join.next("join of b")).info.client, other.id);
    await s.publish(channel, 1); // comes after the join, if that does
    await s.expect(silent, 1);
    assert.equal(silent.saw.join.events.length, 0);

    const plain = await s.enter(c, s.channel("plain"), { joinLeave: true });
    for (const ask of [() => plain.presence(), () => plain.presenceStats(), () => plain.history({})]) {
      await assert.rejects(ask, { code: 108 });
    }
    for (const ask of [() => c.presence(s.channel("room")), () => c.history(s.channel("stream"), {})]) {
      await assert.rejects(ask, { code: 103 });
    }
  },
};
