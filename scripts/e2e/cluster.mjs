// Scenarios of several nodes that share a broker. Settings beside those of scene.mjs:
//   NODES    base addresses of all nodes, separated by spaces
//   HISTORY  "yes" if channels "stream:…" keep some
import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { has, recovered } from "./scene.mjs";

const nodes = process.env.NODES.split(" ");
const [here, there] = [nodes[0], nodes.at(-1)];
const keeps = process.env.HISTORY === "yes";

// Asks until the answer is as wanted: nodes tell each other how they are every few seconds.
async function eventually(what, holds) {
  for (const end = Date.now() + 20_000; !(await holds()); await wait(100)) {
    assert.ok(Date.now() < end, `waited in vain for: ${what}`);
  }
}

export default {
  // What any node publishes comes, in order; and when its client has moved to another node, what it missed does too.
  "publications": async (s) => {
    const channel = s.channel("stream");
    const line = await s.line(here);
    const c = await s.connect(line.url, { token: s.token("a") });
    const sub = await s.enter(c, channel);
    let n = 0;
    const expect = (n) => s.expect(sub, n, { offset: keeps ? n : undefined });
    for (const node of [...nodes, ...nodes, there, here]) await s.publish(channel, ++n, node);
    for (let i = 1; i <= n; i++) await expect(i);

    await s.cut(line, c);
    const missed = n + 1;
    for (const node of nodes) await s.publish(channel, ++n, node);
    line.lead(there);
    line.mend();
    await c.saw.connected.next();
    const again = await sub.saw.subscribed.next();
    if (keeps) {
      has(again, recovered);
      for (let i = missed; i <= n; i++) await expect(i);
    }
    for (const node of nodes) await s.publish(channel, ++n, node);
    for (let i = n - nodes.length + 1; i <= n; i++) await expect(i);
  },

  // Everybody in a room is seen from everywhere, and heard coming and going.
  "presence": async (s) => {
    const channel = s.channel("room");
    const clients = [];
    for (const [i, node] of nodes.entries()) {
      const c = await s.connect(node, { token: s.token(`user-${i}`) });
      c.sub = await s.enter(c, channel);
      clients.push(c);
    }
    const ids = clients.map((c) => c.id).sort();
    for (const node of nodes) {
      const { presence } = await s.api("presence", { channel }, node);
      assert.deepEqual(Object.keys(presence).sort(), ids);
      assert.deepEqual(await s.api("presence_stats", { channel }, node), { num_clients: nodes.length, num_users: nodes.length });
    }
    for (const late of clients.slice(1)) {
      while ((await clients[0].sub.saw.join.next("the join of another node's client")).info.client !== late.id); // its own is one, too
    }
    clients.at(-1).disconnect();
    has((await clients[0].sub.saw.leave.next()).info, { client: clients.at(-1).id });
    await eventually("nobody is left behind", async () =>
      Object.keys((await s.api("presence", { channel }, here)).presence).length === nodes.length - 1);
  },

  // Every node knows all nodes, and the channels of all.
  "info and channels": async (s) => {
    const channel = s.channel("stream");
    for (const [i, node] of nodes.entries()) await s.enter(await s.connect(node, { token: s.token(`user-${i}`) }), channel);
    for (const node of nodes) {
      await eventually("info of all nodes", async () => {
        const { nodes: list } = await s.api("info", {}, node);
        assert.ok(list.length <= nodes.length, `${list.length} nodes`);
        return list.length === nodes.length && list.every((n) => n.num_clients > 0 && n.num_channels > 0 && n.uid && n.name && n.version);
      });
      const { channels } = await s.api("channels", { pattern: channel }, node);
      assert.deepEqual(channels, { [channel]: { num_clients: nodes.length } });
    }
  },

  // Orders that one node is given are carried out by all.
  "orders": async (s) => {
    const [channel, other] = [s.channel("stream"), s.channel("room")];
    const line = await s.line(here);
    const c = await s.connect(line.url, { token: s.token("a") });
    const sub = await s.enter(c, channel);
    await s.api("unsubscribe", { user: s.user("a"), channel }, there);
    has(await sub.saw.unsubscribed.next(), { channel, code: 2000 });
    await s.api("subscribe", { user: s.user("a"), channel: other, data: { from: "there" } }, there);
    const given = await c.saw.subscribed.next("a subscription by order");
    assert.deepEqual([given.channel, s.decode(given.data)], [other, { from: "there" }]);
    await s.publish(other, 1, there);
    await s.expect(c, 1, { channel: other });
    await s.api("refresh", { user: s.user("a"), expire_at: Math.floor(Date.now() / 1000) + 600 }, there);
    await s.api("disconnect", { user: s.user("a"), disconnect: { code: 3011, reason: "as ordered" } }, there);
    has(await c.saw.connecting.next(), { code: 3011, reason: "as ordered" });
    await c.saw.connected.next();
    await s.api("disconnect", { user: s.user("a") }, there);
    has(await c.saw.disconnected.next(), { code: 3503 });
  },
};
