// Opens the try page in a real Chromium and uses it as a person would. Settings come in the environment:
//   STENTOR    base address of a server that runs with --dev.enabled
//   API_KEY    key of the server API
//   CHROMIUM   path of the browser
//   SCREENSHOT where to leave a picture of the page; empty for none
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { STENTOR, API_KEY, CHROMIUM, SCREENSHOT } = process.env;

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));

  await page.goto(`${STENTOR}/`);
  await page.click("#connect");
  await page.waitForSelector('#status[data-state="open"]');
  await page.click("#subscribe");
  await page.waitForSelector('#log li:has-text("subscribed to news")');

  await page.fill("#data", '{"text":"from the page"}');
  await page.click("#publish");
  await page.waitForSelector('#log li.publication:has-text("from the page")');

  const response = await fetch(`${STENTOR}/api/publish`, {
    method: "POST",
    headers: { "X-API-Key": API_KEY, "Content-Type": "application/json" },
    body: JSON.stringify({ channel: "news", data: { text: "from the backend" } }),
  });
  assert.equal(response.status, 200);
  await page.waitForSelector('#log li.publication:has-text("from the backend")');
  if (SCREENSHOT) await page.screenshot({ path: SCREENSHOT });

  await page.click("#unsubscribe");
  await page.waitForSelector('#log li:has-text("unsubscribed from news")');
  await page.click("#connect");
  await page.waitForSelector('#status[data-state="closed"]');
  assert.deepEqual(problems, [], "the page reported errors");
  console.log("page: passed");
} finally {
  await browser.close();
}
