// Where a scenario plays: two running servers, and clients, channels, users and tokens of its own. Settings come in the environment:
//   ORDINARY, SPECIAL    base addresses of the servers, such as http://127.0.0.1:8000
//   API_KEY              key of their server API
//   SECRET               key of HS256 tokens
//   RS256, ES256, EDDSA  private keys of the other kinds, PEM
//   TRANSPORT            websocket, as if it is empty; http_stream or sse, whose commands go to /emulation
import assert from "node:assert/strict";
import { createHmac, sign } from "node:crypto";
import { Centrifuge } from "centrifuge";
import { Centrifuge as CentrifugeProtobuf } from "centrifuge/build/protobuf";
import { EventSource } from "eventsource";
import WebSocket from "ws";
import { Line } from "./line.mjs";

export const { ORDINARY, SPECIAL, API_KEY, SECRET, RS256, ES256, EDDSA, TRANSPORT = "websocket" } = process.env;

// In which forms the transport can be spoken.
export const forms = TRANSPORT === "sse" ? ["json"] : ["json", "protobuf"];

const patience = 15_000; // ms; the machine may be busy

// The events of one kind, from now on.
export class Noted {
  events = []; // that nobody has asked for yet
  #arrived = () => {};

  constructor(emitter, kind) {
    this.kind = kind;
    emitter.on(kind, (event) => {
      this.events.push(event);
      this.#arrived();
    });
  }

  // The event that follows.
  async next(what = this.kind) {
    if (this.events.length === 0) {
      let timer;
      await new Promise((resolve, reject) => {
        this.#arrived = resolve;
        timer = setTimeout(() => reject(new Error(`waited in vain for: ${what}`)), patience);
      });
      clearTimeout(timer);
    }
    return this.events.shift();
  }
}

// Notes all events that the kinds name, each as a property.
function note(emitter, ...kinds) {
  return Object.fromEntries(kinds.map((kind) => [kind, new Noted(emitter, kind)]));
}

// Seconds since 1970, for a claim.
export const after = (seconds) => Math.floor(Date.now() / 1000) + seconds;

const base64url = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

// Signs a token for user. claims are added; it ends in an hour unless they say otherwise.
export function signed(alg, user, claims = {}) {
  const header = alg === "EdDSA" ? { alg, kid: "key-1" } : { alg };
  const text = `${base64url(header)}.${base64url({ sub: user, exp: after(3600), ...claims })}`;
  const signature = {
    HS256: () => createHmac("sha256", SECRET).update(text).digest(),
    RS256: () => sign("sha256", Buffer.from(text), RS256),
    ES256: () => sign("sha256", Buffer.from(text), { key: ES256, dsaEncoding: "ieee-p1363" }),
    EdDSA: () => sign(null, Buffer.from(text), EDDSA),
  }[alg]();
  return `${text}.${signature.toString("base64url")}`;
}

export class Scene {
  #clients = [];
  #lines = [];

  constructor(form, id) {
    this.binary = form === "protobuf";
    this.id = `js-${TRANSPORT}-${form}-${id}`;
  }

  channel = (namespace) => `${namespace}:${this.id}`; // that no other scene uses
  user = (name) => `${this.id}-${name}`;
  token = (name, claims) => signed("HS256", this.user(name), claims);

  // Data of messages is bytes in Protobuf.
  encode = (value) => (this.binary ? new TextEncoder().encode(JSON.stringify(value)) : value);
  decode = (data) => (this.binary && data !== undefined ? JSON.parse(new TextDecoder().decode(data)) : data);

  // Calls the server API and returns the whole answer.
  async post(method, body, server = ORDINARY) {
    const response = await fetch(`${server}/api/${method}`, {
      method: "POST",
      headers: { "X-API-Key": API_KEY },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200, `${method}: HTTP ${response.status}`);
    return response.json();
  }

  // Calls a method that has to succeed.
  async api(method, body, server) {
    const answer = await this.post(method, body, server);
    assert.equal(answer.error, undefined, `${method}: ${JSON.stringify(answer.error)}`);
    return answer.result;
  }

  // Publishes publication n.
  publish = (channel, n, server) => this.api("publish", { channel, data: { n } }, server);

  async line(url = ORDINARY) {
    const line = await Line.to(url);
    this.#lines.push(line);
    return line;
  }

  // Starts a client. It has the events of its connection and of server-side subscriptions as properties of "saw".
  async dial(url, options) {
    const Client = this.binary ? CentrifugeProtobuf : Centrifuge;
    const c = new Client(this.#endpoint(url), {
      websocket: WebSocket, eventsource: EventSource, emulationEndpoint: `${url.split("?")[0]}/emulation`,
      minReconnectDelay: 20, maxReconnectDelay: 200, timeout: patience, ...options,
    });
    this.#clients.push(c);
    c.saw = note(c, "connecting", "connected", "disconnected", "subscribed", "unsubscribed", "publication", "join", "leave");
    c.connect();
    assert.equal((await c.saw.connecting.next()).code, 0);
    return c;
  }

  // Where the SDK connects.
  #endpoint(url) {
    const [base, query = ""] = url.split("?");
    if (TRANSPORT !== "websocket") return [{ transport: TRANSPORT, endpoint: `${base}/connection/${TRANSPORT}` }];
    const form = this.binary ? "format=protobuf" : "";
    return `${base.replace(/^http/, "ws")}/connection/websocket?${[query, form].filter(Boolean).join("&")}`;
  }

  // dial for a client that will be let in. Its id is a property then.
  async connect(url, options) {
    const c = await this.dial(url, options);
    c.id = (await c.saw.connected.next()).client;
    return c;
  }

  // Breaks the line and waits until the client has noticed.
  async cut(line, c) {
    line.cut();
    assert.equal((await c.saw.connecting.next("the cut")).code, 1);
  }

  // Starts to subscribe. The subscription's events are properties of "saw".
  async subscribe(c, channel, options = {}) {
    const sub = c.newSubscription(channel, { minResubscribeDelay: 20, maxResubscribeDelay: 200, ...options });
    sub.saw = note(sub, "subscribing", "subscribed", "unsubscribed", "publication", "join", "leave");
    sub.subscribe();
    assert.equal((await sub.saw.subscribing.next()).code, 0);
    return sub;
  }

  // subscribe for a channel that will be granted; what the server said is a property then.
  async enter(c, channel, options) {
    const sub = await this.subscribe(c, channel, options);
    sub.granted = await sub.saw.subscribed.next(`subscribed to ${channel}`);
    return sub;
  }

  // Waits for the publication that follows, of a subscription or of a client's server-side ones, which has to be publication n.
  async expect(emitter, n, { offset, channel } = {}) {
    const p = await emitter.saw.publication.next(`publication ${n}`);
    assert.deepEqual({ data: this.decode(p.data), offset: p.offset }, { data: { n }, offset });
    if (channel !== undefined) assert.equal(p.channel, channel);
  }

  end() {
    for (const c of this.#clients) c.disconnect();
    for (const line of this.#lines) line.close();
  }
}

// Asserts the fields that want names.
export function has(got, want) {
  assert.deepEqual(Object.fromEntries(Object.keys(want).map((key) => [key, got[key]])), want);
}

export const [recovered, notRecovered] = [true, false].map((yes) => ({ wasRecovering: true, recovered: yes }));
