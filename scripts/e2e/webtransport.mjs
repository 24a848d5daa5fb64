// A page in a real Chromium that uses the JavaScript SDK over WebTransport. Settings come in the environment:
//   STENTOR    base address of a server with HTTP/3, https://127.0.0.1:port
//   API        base address of its server API
//   API_KEY    key of the server API
//   SPKI       base64 of the SHA-256 of the public key in the server's certificate, which no authority has signed
//   CHROMIUM   path of the browser
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { chromium } from "playwright-core";

const { STENTOR, API, API_KEY, SPKI, CHROMIUM } = process.env;
const channel = "log:webtransport";

const script = await readFile(new URL("node_modules/centrifuge/dist/centrifuge.js", import.meta.url));
const pages = http.createServer((req, res) => {
  if (req.url === "/") return res.setHeader("Content-Type", "text/html").end("<!doctype html><script src=/centrifuge.js></script>");
  res.setHeader("Content-Type", "text/javascript").end(script);
});
await new Promise((done) => pages.listen(0, "127.0.0.1", done));

async function publish(n) {
  const response = await fetch(`${API}/api/publish`, {
    method: "POST",
    headers: { "X-API-Key": API_KEY, "Content-Type": "application/json" },
    body: JSON.stringify({ channel, data: { n } }),
  });
  assert.equal(response.status, 200);
}

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    `--origin-to-force-quic-on=${new URL(STENTOR).host}`, `--ignore-certificate-errors-spki-list=${SPKI}`,
  ],
});
try {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(`http://127.0.0.1:${pages.address().port}/`);
  await page.evaluate(
    ({ endpoint, channel }) => {
      window.heard = [];
      const client = new Centrifuge([{ transport: "webtransport", endpoint }], { minReconnectDelay: 20, maxReconnectDelay: 200 });
      client.on("connected", (e) => (window.transport = e.transport));
      client.on("error", (e) => (window.trouble = JSON.stringify(e)));
      const sub = client.newSubscription(channel);
      sub.on("subscribed", () => (window.subscribed = true));
      sub.on("publication", (e) => window.heard.push(e.data.n));
      sub.subscribe();
      client.connect();
      window.client = client;
    },
    { endpoint: `${STENTOR}/connection/webtransport`, channel },
  );
  const wait = (condition, arg) =>
    page.waitForFunction(condition, arg, { timeout: 30_000, polling: 50 }).catch(async (error) => {
      throw new Error(`${error.message}; the client says: ${await page.evaluate(() => window.trouble)}`);
    });
  await wait(() => window.transport === "webtransport" && window.subscribed);
  for (let n = 1; n <= 10; n++) await publish(n);
  await wait(() => window.heard.length >= 10);
  assert.deepEqual(await page.evaluate(() => window.heard), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.ok(await page.evaluate(() => window.client.rpc("ping", {}).then(() => true)), "a command");
  await page.evaluate(() => window.client.disconnect());
  assert.deepEqual(problems, [], "the page reported errors");
  console.log("webtransport: passed");
} finally {
  await browser.close();
  pages.close();
}
