// A page in a real Chromium whose network takes one transport after another away: WebSocket first, then HTTP-streaming. The client
// must find what is left, take its channel up where it was, and miss nothing. Settings come in the environment:
//   STENTOR    base address of a server whose channels of the namespace "log" are recoverable
//   API_KEY    key of the server API
//   CHROMIUM   path of the browser
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { chromium } from "playwright-core";

const { STENTOR, API_KEY, CHROMIUM } = process.env;
const channel = "log:fallback";

// The network: a forward to the server that refuses the paths in blocked and can cut what goes through it.
const blocked = new Set();
const lines = new Set();
const server = new URL(STENTOR);
const isBlocked = (url) => [...blocked].some((path) => url.startsWith(path));
const script = await readFile(new URL("node_modules/centrifuge/dist/centrifuge.js", import.meta.url));
const network = http.createServer((req, res) => {
  if (req.url === "/") return res.setHeader("Content-Type", "text/html").end("<!doctype html><script src=/centrifuge.js></script>");
  if (req.url === "/centrifuge.js") return res.setHeader("Content-Type", "text/javascript").end(script);
  if (isBlocked(req.url)) return req.socket.destroy();
  const forward = http.request({ host: server.hostname, port: server.port, path: req.url, method: req.method, headers: req.headers, agent: false }, (answer) => {
    res.writeHead(answer.statusCode, answer.headers);
    answer.pipe(res);
    answer.on("error", () => res.destroy());
  });
  forward.on("error", () => res.destroy());
  res.on("close", () => forward.destroy());
  req.pipe(forward);
});
network.on("upgrade", (req, socket, head) => {
  if (isBlocked(req.url)) return socket.destroy();
  const forward = net.connect(server.port, server.hostname, () => {
    const fields = [];
    for (let i = 0; i < req.rawHeaders.length; i += 2) fields.push(`${req.rawHeaders[i]}: ${req.rawHeaders[i + 1]}`);
    forward.write(`${req.method} ${req.url} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`);
    forward.write(head);
    socket.pipe(forward).pipe(socket);
  });
  for (const [one, other] of [[forward, socket], [socket, forward]]) one.on("error", () => other.destroy()).on("close", () => other.destroy());
});
network.on("connection", (socket) => {
  lines.add(socket);
  socket.on("close", () => lines.delete(socket));
});
const cut = () => lines.forEach((socket) => socket.destroy());
await new Promise((done) => network.listen(0, "127.0.0.1", done));
const base = `http://127.0.0.1:${network.address().port}`;

let published = 0;
async function publish(n) {
  for (let i = 0; i < n; i++) {
    const response = await fetch(`${STENTOR}/api/publish`, {
      method: "POST",
      headers: { "X-API-Key": API_KEY, "Content-Type": "application/json" },
      body: JSON.stringify({ channel, data: { n: published + 1 } }),
    });
    assert.equal(response.status, 200);
    published++;
  }
}

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(base);

  // In the page: one client at a time, each taking the channel up where the last one left it.
  await page.evaluate(
    ({ channel }) => {
      window.heard = [];
      window.position = null;
      window.join = () => {
        window.client?.disconnect();
        const base = location.origin;
        const client = new Centrifuge(
          [
            { transport: "websocket", endpoint: base.replace("http", "ws") + "/connection/websocket" },
            { transport: "http_stream", endpoint: base + "/connection/http_stream" },
            { transport: "sse", endpoint: base + "/connection/sse" },
          ],
          { emulationEndpoint: base + "/emulation", minReconnectDelay: 20, maxReconnectDelay: 200, timeout: 10_000 },
        );
        client.on("connected", (e) => (window.transport = e.transport));
        client.on("connecting", () => (window.transport = ""));
        const sub = client.newSubscription(channel, { recoverable: true, ...(window.position && { since: window.position }) });
        sub.on("subscribed", (e) => {
          window.recoveries = (window.recoveries ?? 0) + (e.recovered ? 1 : 0);
          window.lost ||= e.wasRecovering && !e.recovered;
          if (!window.position) window.position = e.streamPosition;
          window.subscribed = true;
        });
        sub.on("subscribing", () => (window.subscribed = false));
        sub.on("publication", (e) => {
          window.heard.push(e.data.n);
          window.position = { offset: e.offset, epoch: window.position.epoch };
        });
        sub.subscribe();
        client.connect();
        window.client = client;
      };
    },
    { channel },
  );
  const wait = (condition, arg) => page.waitForFunction(condition, arg, { timeout: 60_000, polling: 50 });
  const allHeard = () => wait((n) => window.heard.length >= n, published);

  for (const [transport, path] of [["websocket", "/connection/websocket"], ["http_stream", "/connection/http_stream"], ["sse", "/connection/sse"]]) {
    await page.evaluate(() => { window.subscribed = false; window.join(); });
    await wait((name) => window.transport === name && window.subscribed, transport);
    await publish(10);
    await allHeard();
    assert.ok((await page.evaluate(() => window.client.rpc("ping", {}).then(() => true))), "a command over " + transport);

    // The line is cut while messages come, and comes back.
    const news = publish(20);
    cut();
    await news;
    await allHeard();
    await wait((name) => window.transport === name, transport);

    // Now this transport is taken away, and the next one has to be found.
    await page.evaluate(() => window.client.disconnect());
    blocked.add(path);
    await publish(10);
  }
  blocked.delete("/connection/sse");
  await page.evaluate(() => window.join());
  await allHeard();

  const { heard, lost, recoveries } = await page.evaluate(() => ({ heard: window.heard, lost: window.lost, recoveries: window.recoveries }));
  assert.deepEqual(heard, Array.from({ length: published }, (_, i) => i + 1), "each publication once and in order");
  assert.ok(!lost, "a recovery failed");
  assert.ok(recoveries >= 6, `${recoveries} recoveries`);
  assert.deepEqual(problems, [], "the page reported errors");
  console.log(`fallback: passed, ${published} publications, ${recoveries} recoveries`);
} finally {
  await browser.close();
  cut();
  network.close();
}
