import assert from "node:assert/strict";
import { ORDINARY } from "./scene.mjs";

export default {
  // Reads a history from both ends, page by page.
  "pages": async (s) => {
    const channel = s.channel("stream");
    const c = await s.connect(ORDINARY, { token: s.token("a") });
    const sub = await s.enter(c, channel);
    for (let n = 1; n <= 5; n++) await s.publish(channel, n);
    const read = async (options) => {
      const { publications, offset, epoch } = await sub.history(options);
      for (const p of publications) assert.deepEqual(s.decode(p.data), { n: p.offset });
      return [publications.map((p) => p.offset), { offset, epoch }];
    };
    const [none, top] = await read({});
    assert.deepEqual(none, []);
    assert.equal(top.offset, 5);
    assert.notEqual(top.epoch, "");
    for (const [reverse, first, pages] of [[false, 0, [[1, 2], [3, 4], [5], []]], [true, 6, [[5, 4], [3, 2], [1], []]]]) {
      const since = { offset: first, epoch: top.epoch };
      for (const page of pages) {
        assert.deepEqual(await read({ limit: 2, since, reverse }), [page, top]);
        since.offset = page.at(-1);
      }
    }
    assert.deepEqual((await read({ limit: -1 }))[0], [1, 2, 3, 4, 5]);
    assert.deepEqual((await read({ limit: 2, reverse: true }))[0], [5, 4]);
    await assert.rejects(() => sub.history({ since: { offset: 1, epoch: "other" } }), { code: 112 });
    await s.api("history_remove", { channel });
    assert.deepEqual(await read({ limit: -1 }), [[], top]);
  },
};
