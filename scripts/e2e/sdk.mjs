// Drives a running server with the JavaScript SDK, unmodified. Settings come in the environment:
//   STENTOR      base address, such as http://127.0.0.1:8000
//   API_KEY      key of the server API
//   TOKEN        connection token of user "42"
//   FORM         json or protobuf
//   TRANSPORT    websocket, as if it is empty; http_stream or sse
//   COMPRESSED   not empty if the server must agree to permessage-deflate, which ws always offers
// Exits 0 when every step did what an application would expect; otherwise the failed assertion is on stderr.
import assert from "node:assert/strict";
import { Centrifuge } from "centrifuge";
import { Centrifuge as CentrifugeProtobuf } from "centrifuge/build/protobuf";
import { EventSource } from "eventsource";
import { WebSocket as PlainWebSocket } from "ws";

const { STENTOR, API_KEY, TOKEN, FORM, TRANSPORT = "websocket", COMPRESSED } = process.env;
const binary = FORM === "protobuf";
const timeout = setTimeout(() => {
  console.error("timed out");
  process.exit(2);
}, 30_000);

async function api(method, body) {
  const response = await fetch(`${STENTOR}/api/${method}`, {
    method: "POST",
    headers: { "Authorization": `apikey ${API_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, `${method}: HTTP ${response.status}`);
  const answer = await response.json();
  assert.equal(answer.error, undefined, `${method}: ${JSON.stringify(answer.error)}`);
  return answer.result;
}

const encode = (value) => (binary ? new TextEncoder().encode(JSON.stringify(value)) : value);
const decode = (data) => (binary ? JSON.parse(new TextDecoder().decode(data)) : data);

// next resolves with the context of the next event; ask for it before causing the event.
const next = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

class WebSocket extends PlainWebSocket {
  constructor(...args) {
    super(...args);
    this.on("open", () => assert.equal(/permessage-deflate/.test(this.extensions), Boolean(COMPRESSED)));
  }
}

function client(options = {}) {
  const Client = binary ? CentrifugeProtobuf : Centrifuge;
  let endpoint = `${STENTOR.replace(/^http/, "ws")}/connection/websocket${binary ? "?format=protobuf" : ""}`;
  if (TRANSPORT !== "websocket") endpoint = [{ transport: TRANSPORT, endpoint: `${STENTOR}/connection/${TRANSPORT}` }];
  return new Client(endpoint, {
    websocket: WebSocket, eventsource: EventSource, emulationEndpoint: `${STENTOR}/emulation`, token: TOKEN, minReconnectDelay: 50, maxReconnectDelay: 200, ...options,
  });
}

function step(name) {
  console.log(`${FORM}: ${name}`);
}

step("connect");
const c = client();
let event = next(c, "connected");
c.connect();
const connected = await event;
assert.match(connected.client, /^[0-9a-f-]{36}$/);

step("subscribe");
const sub = c.newSubscription("chat:room-42");
event = next(sub, "subscribed");
sub.subscribe();
const subscribed = await event;
assert.equal(subscribed.recoverable, true);
assert.equal(typeof subscribed.streamPosition.epoch, "string");

step("publish from the backend");
event = next(sub, "publication");
const result = await api("publish", { channel: "chat:room-42", data: { from: "backend" }, tags: { a: "1" } });
let publication = await event;
assert.deepEqual(decode(publication.data), { from: "backend" });
assert.equal(publication.offset, result.offset);
assert.deepEqual({ ...publication.tags }, { a: "1" });

step("publish from the client");
event = next(sub, "publication");
await sub.publish(encode({ from: "client" }));
publication = await event;
assert.deepEqual(decode(publication.data), { from: "client" });
assert.equal(publication.info.user, "42");
assert.equal(publication.info.client, connected.client);

step("publish without permission");
await assert.rejects(c.publish("locked:room", encode({})), (error) => error.code === 103);

step("subscribe without permission");
const locked = c.newSubscription("locked:room");
event = next(locked, "unsubscribed");
locked.subscribe();
assert.equal((await event).code, 103);

step("unsubscribe by the client");
event = next(sub, "unsubscribed");
sub.unsubscribe();
await event;
await api("publish", { channel: "chat:room-42", data: { missed: true } });
event = next(sub, "subscribed");
sub.subscribe();
await event;

step("unsubscribe by the server");
event = next(sub, "unsubscribed");
await api("unsubscribe", { user: "42", channel: "chat:room-42" });
assert.equal((await event).code, 2000);
event = next(sub, "subscribed");
sub.subscribe();
await event;

step("reconnect and recover");
const recovered = [];
sub.on("publication", (p) => recovered.push(decode(p.data)));
const again = next(sub, "subscribed");
const connecting = next(c, "connecting");
const lost = api("disconnect", { user: "42", disconnect: { code: 3011, reason: "force reconnect" } });
assert.equal((await connecting).code, 3011);
await lost;
await api("publish", { channel: "chat:room-42", data: { while: "away" } });
const resubscribed = await again;
assert.equal(resubscribed.wasRecovering, true);
assert.equal(resubscribed.recovered, true);
while (recovered.length < 1) await new Promise((resolve) => setTimeout(resolve, 10));
assert.deepEqual(recovered, [{ while: "away" }]);

step("disconnect by the server");
event = next(c, "disconnected");
await api("disconnect", { user: "42" });
const disconnected = await event;
assert.equal(disconnected.code, 3503);
assert.equal(disconnected.reason, "force disconnect");

step("invalid token");
const stranger = client({ token: TOKEN.slice(0, -4) + "AAAA" });
event = next(stranger, "disconnected");
stranger.connect();
assert.equal((await event).code, 3500);

clearTimeout(timeout);
console.log(`${FORM}: passed`);
process.exit(0);
