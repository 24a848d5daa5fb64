import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { has, ORDINARY, recovered } from "./scene.mjs";

// Versions of a text of some 4 KB that differ in a few bytes.
function drafts() {
  const text = randomBytes(2000).toString("hex");
  return { bytes: text.length, version: (n) => ({ n, text, end: 2 * n }) };
}

// Waits for the publication that follows, which has to be this version at its offset.
async function expect(s, sub, d, n) {
  const p = await sub.saw.publication.next(`draft ${n}`);
  assert.deepEqual({ data: s.decode(p.data), offset: p.offset }, { data: d.version(n), offset: n });
  return p;
}

// Asserts that less came over the line than so many drafts in full.
function few(line, d, full) {
  assert.ok(line.fromServer < full * d.bytes, `${line.fromServer} bytes came, want less than ${full * d.bytes}`);
}

export default {
  // Who asks for them gets the first publication in full and then what has changed, also of what it missed; who does not gets all of
  // everything. What the backend publishes without delta comes in full to all.
  "patches": async (s) => {
    const [channel, d, line] = [s.channel("delta"), drafts(), await s.line()];
    const c = await s.connect(line.url, { token: s.token("a") });
    const other = await s.connect(ORDINARY, { token: s.token("b") });
    const publish = (n, delta) => s.api("publish", { channel, delta, data: d.version(n) });
    await publish(1, true); // before there is anybody
    const sub = await s.enter(c, channel, { delta: "fossil" });
    const plain = await s.enter(other, channel);
    for (let n = 2; n <= 10; n++) {
      await publish(n, true);
      await expect(s, sub, d, n);
      await expect(s, plain, d, n);
    }
    has(sub.deltaStats(), { numPublications: 9, numFullPayloads: 1, numDeltaPayloads: 8 });
    few(line, d, 2);

    await s.cut(line, c);
    for (let n = 11; n <= 15; n++) {
      await publish(n, true);
      await expect(s, plain, d, n);
    }
    line.mend();
    has(await sub.saw.subscribed.next(), recovered);
    await publish(16, true);
    for (let n = 11; n <= 16; n++) await expect(s, sub, d, n);
    few(line, d, 4); // two in full, and perhaps the first after the recovery
    await publish(17, false);
    await publish(18, true);
    await expect(s, sub, d, 17);
    await expect(s, sub, d, 18);
    has(plain.deltaStats(), { numDeltaPayloads: 0 });
  },

  // A namespace may say that all its publications have patches, those of clients, too.
  "for every publication": async (s) => {
    const [channel, d, line] = [s.channel("always"), drafts(), await s.line()];
    const c = await s.connect(line.url, { token: s.token("a") });
    const writer = await s.connect(ORDINARY, { token: s.token("b") });
    const sub = await s.enter(c, channel, { delta: "fossil" });
    const own = await s.enter(writer, channel, { delta: "fossil" });
    for (let n = 1; n <= 9; n += 2) {
      await s.api("publish", { channel, data: d.version(n) });
      await expect(s, sub, d, n);
      await own.publish(s.encode(d.version(n + 1)));
      assert.equal((await expect(s, sub, d, n + 1)).info.client, writer.id);
      await expect(s, own, d, n);
      await expect(s, own, d, n + 1);
    }
    has(sub.deltaStats(), { numFullPayloads: 1, numDeltaPayloads: 9 });
    few(line, d, 2);
    await s.api("publish", { channel, data: {} }); // shorter than any patch
    assert.deepEqual(s.decode((await sub.saw.publication.next()).data), {});
    await s.api("publish", { channel, data: d.version(12) });
    await expect(s, sub, d, 12);
  },

  // A subscription that asks for what its namespace does not allow goes without.
  "not where it is not allowed": async (s) => {
    const [channel, d] = [s.channel("stream"), drafts()];
    const c = await s.connect(ORDINARY, { token: s.token("a") });
    const sub = await s.enter(c, channel, { delta: "fossil" });
    for (let n = 1; n <= 3; n++) {
      await s.api("publish", { channel, delta: true, data: d.version(n) });
      await expect(s, sub, d, n);
    }
    has(sub.deltaStats(), { numDeltaPayloads: 0 });
  },
};
