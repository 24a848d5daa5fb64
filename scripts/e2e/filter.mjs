import assert from "node:assert/strict";
import { has, ORDINARY, recovered } from "./scene.mjs";

// Tags of publications. A publication's number is its place here, from 1 on.
const quotes = [
  { ticker: "BTC", price: "100" }, { ticker: "ETH", price: "7.5" }, { ticker: "BTC", price: "99.5" }, { ticker: "BTCUSD", halted: "yes" }, {},
];

const quote = (s, channel, n) => s.api("publish", { channel, data: { n }, tags: quotes[(n - 1) % quotes.length] });

const btc = { key: "ticker", cmp: "eq", val: "BTC" };
const halted = { key: "halted", cmp: "ex" };

export default {
  // Each kind of condition lets through what it should, and nothing else.
  "by tags": async (s) => {
    const channel = s.channel("filter");
    const conditions = [
      ["none", null, [1, 2, 3, 4, 5]],
      ["eq", btc, [1, 3]],
      ["neq", { ...btc, cmp: "neq" }, [2, 4, 5]],
      ["in", { key: "ticker", cmp: "in", vals: ["ETH", "BTCUSD"] }, [2, 4]],
      ["nin", { key: "ticker", cmp: "nin", vals: ["ETH", "BTCUSD"] }, [1, 3, 5]],
      ["ex", halted, [4]],
      ["nex", { key: "ticker", cmp: "nex" }, [5]],
      ["sw", { key: "ticker", cmp: "sw", val: "BTC" }, [1, 3, 4]],
      ["ew", { key: "ticker", cmp: "ew", val: "USD" }, [4]],
      ["ct", { key: "ticker", cmp: "ct", val: "T" }, [1, 2, 3, 4]],
      ["gt", { key: "price", cmp: "gt", val: "99.5" }, [1]],
      ["gte", { key: "price", cmp: "gte", val: "99.5" }, [1, 3]],
      ["lt", { key: "price", cmp: "lt", val: "99.5" }, [2]],
      ["lte", { key: "price", cmp: "lte", val: "99.5" }, [2, 3]],
      ["and", { op: "and", nodes: [btc, { key: "price", cmp: "gte", val: "100" }] }, [1]],
      ["or", { op: "or", nodes: [btc, halted] }, [1, 3, 4]],
      ["not", { op: "not", nodes: [{ op: "or", nodes: [btc, halted] }] }, [2, 5]],
    ];
    const subs = [];
    for (const [name, tagsFilter] of conditions) {
      const c = await s.connect(ORDINARY, { token: s.token(name) });
      subs.push(await s.enter(c, channel, { tagsFilter }));
    }
    for (let n = 1; n <= 2 * quotes.length; n++) await quote(s, channel, n);
    for (const [i, [name, , passes]] of conditions.entries()) {
      // The second round would be late if the first let more through.
      for (const n of [...passes, ...passes.map((n) => n + quotes.length)]) {
        const p = await subs[i].saw.publication.next(`${name}: publication ${n}`);
        assert.deepEqual([s.decode(p.data), p.offset], [{ n }, n], name);
        assert.deepEqual({ ...p.tags }, quotes[(n - 1) % quotes.length]);
      }
    }
  },

  // Whether something is missing is judged before the filter. Nothing that passed it is lost, and nothing else comes.
  "recovery": async (s) => {
    const [channel, line] = [s.channel("filter"), await s.line()];
    const c = await s.connect(line.url, { token: s.token("a") });
    const sub = await s.enter(c, channel, { tagsFilter: btc });
    for (let n = 1; n <= 5; n++) await quote(s, channel, n);
    await s.expect(sub, 1, { offset: 1 });
    await s.expect(sub, 3, { offset: 3 });
    for (const [first, last] of [[6, 9], [10, 10]]) { // some pass, none passes
      await s.cut(line, c);
      for (let n = first; n <= last; n++) await quote(s, channel, n);
      line.mend();
      has(await sub.saw.subscribed.next(), recovered);
    }
    for (let n = 11; n <= 13; n++) await quote(s, channel, n);
    for (const n of [6, 8, 11, 13]) await s.expect(sub, n, { offset: n });

    sub.unsubscribe();
    sub.setTagsFilter({ ...btc, val: "ETH" });
    for (let n = 14; n <= 17; n++) await quote(s, channel, n);
    sub.subscribe();
    has(await sub.saw.subscribed.next(), recovered);
    await s.expect(sub, 17, { offset: 17 });
  },

  // Where the namespace does not allow filters, and where one makes no sense.
  "refused": async (s) => {
    for (const [name, namespace, tagsFilter] of [
      ["not allowed", "stream", btc],
      ["no value", "filter", { ...btc, val: "" }],
      ["no values", "filter", { key: "ticker", cmp: "in" }],
      ["no such comparison", "filter", { ...btc, cmp: "like" }],
      ["nothing to join", "filter", { op: "and", nodes: [] }],
      ["deep down", "filter", { op: "not", nodes: [{ op: "or", nodes: [btc, { key: "ticker", cmp: "nin" }] }] }],
    ]) {
      const c = await s.connect(ORDINARY, { token: s.token(name) });
      const sub = await s.subscribe(c, s.channel(namespace), { tagsFilter });
      has(await sub.saw.unsubscribed.next(name), { code: 107, reason: "bad request" });
    }
  },
};
