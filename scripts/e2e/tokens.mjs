import assert from "node:assert/strict";
import { after, Noted, ORDINARY, signed, SPECIAL } from "./scene.mjs";
import { EventEmitter } from "node:events";

// Tokens that end in 3 s, of which the SDK has to get new ones. The third lasts an hour: that it was asked for says that the second was
// accepted, for its end came from the server.
function shortLived(s, claims) {
  const asked = new EventEmitter();
  let times = 0;
  const third = new Noted(asked, "third");
  const get = async () => {
    times++;
    if (times === 3) asked.emit("third");
    return s.token("a", { exp: after(times === 3 ? 3600 : 3), ...claims });
  };
  return { get, third };
}

export default {
  // A connection and a subscription outlive their first tokens, and nothing else happens to them.
  "refresh": async (s) => {
    const channel = s.channel("token");
    const [connection, subscription] = [shortLived(s, {}), shortLived(s, { channel })];
    const c = await s.connect(ORDINARY, { getToken: connection.get });
    const sub = await s.enter(c, channel, { getToken: subscription.get });
    await connection.third.next("third connection token");
    await subscription.third.next("third subscription token");
    await s.publish(channel, 1);
    await s.expect(sub, 1);
    assert.deepEqual([...c.saw.connecting.events, ...c.saw.disconnected.events], []);
    assert.deepEqual([...sub.saw.subscribing.events, ...sub.saw.unsubscribed.events], []);
  },

  // With a token that has ended the SDK asks for another, once, and goes on.
  "expired tokens": async (s) => {
    const channel = s.channel("token");
    const asked = [];
    const c = await s.connect(ORDINARY, {
      token: s.token("a", { exp: after(-60) }),
      getToken: async () => {
        asked.push("connection");
        return s.token("a");
      },
    });
    const sub = await s.enter(c, channel, {
      token: s.token("a", { exp: after(-60), channel }),
      getToken: async (ctx) => {
        asked.push(ctx.channel);
        return s.token("a", { channel: ctx.channel });
      },
    });
    await s.publish(channel, 1);
    await s.expect(sub, 1);
    assert.deepEqual(asked, ["connection", channel]);
    assert.deepEqual(c.saw.disconnected.events, []);
  },

  // What nobody of ours has signed, or was signed for something else, opens nothing.
  "invalid tokens": async (s) => {
    const channel = s.channel("token");
    const token = s.token("a");
    for (const [name, options, code, reason] of [
      ["another signature", { token: `${token.slice(0, -8)}AAAAAAAA` }, 3500, "invalid token"],
      ["a key that is not configured", { token: signed("EdDSA", s.user("a")) }, 3500, "invalid token"],
      ["a subscription token", { token: s.token("a", { channel }) }, 3500, "invalid token"],
      ["none", {}, 3501, "bad request"],
    ]) {
      const c = await s.dial(ORDINARY, options);
      assert.deepEqual({ ...(await c.saw.disconnected.next(name)) }, { code, reason }, name);
    }

    const c = await s.connect(ORDINARY, { token });
    for (const options of [{}, { token: "nonsense" }, { token: signed("EdDSA", s.user("a"), { channel }) }]) {
      const sub = await s.subscribe(c, channel, options);
      assert.deepEqual(await sub.saw.unsubscribed.next(), { channel, code: 103, reason: "permission denied" });
      c.removeSubscription(sub);
    }
    await s.subscribe(c, channel, { token: s.token("a", { channel: `${channel}-other` }) });
    assert.deepEqual({ ...(await c.saw.disconnected.next()) }, { code: 3500, reason: "invalid token" });
  },

  // Tokens of asymmetric keys, from the configuration and from a JWKS, for connections and subscriptions.
  "keys of all kinds": async (s) => {
    for (const [alg, server] of [["RS256", ORDINARY], ["ES256", ORDINARY], ["EdDSA", SPECIAL]]) {
      const [user, channel] = [s.user(alg), s.channel("token") + alg];
      const c = await s.connect(server, { token: signed(alg, user) });
      const sub = await s.enter(c, channel, { token: signed(alg, user, { channel }) });
      const { clients } = await sub.presence();
      assert.deepEqual(Object.keys(clients), [c.id]);
      assert.equal(clients[c.id].user, user);
      await s.publish(channel, 1, server);
      await s.expect(sub, 1);
    }
  },
};
