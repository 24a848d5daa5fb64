"use strict";

// A small client of the protocol: JSON commands and replies, one per line, over WebSocket. Real applications use an SDK.

const $ = (id) => document.getElementById(id);
const linesShownMax = 200;

let socket = null;
let nextId = 1;
const waiting = new Map(); // id of a command → what to do with its reply

function show(text, kind) {
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  line.append(time, text);
  if (kind) line.className = kind;
  $("log").prepend(line);
  while ($("log").children.length > linesShownMax) $("log").lastChild.remove();
}

function status(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
  const open = state === "open";
  for (const id of ["subscribe", "unsubscribe", "publish"]) $(id).disabled = !open;
  $("connect").textContent = state === "closed" ? "Connect" : "Disconnect";
}

function send(command, done) {
  const id = nextId++;
  waiting.set(id, done);
  socket.send(JSON.stringify({ id, ...command }));
}

function receive(reply) {
  if (Object.keys(reply).length === 0) {
    socket.send("{}"); // a ping: answer with a pong
    return;
  }
  if (reply.id) {
    const done = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.error) show(`error ${reply.error.code}: ${reply.error.message}`, "error");
    else if (done) done(reply);
    return;
  }
  const push = reply.push || {};
  if (push.pub) show(`${push.channel}: ${JSON.stringify(push.pub.data)}`, "publication");
  else if (push.unsubscribe) show(`${push.channel}: unsubscribed by the server (${push.unsubscribe.code} ${push.unsubscribe.reason})`, "error");
  else show(JSON.stringify(push));
}

function connect() {
  status("waiting", "connecting …");
  waiting.clear();
  nextId = 1;
  socket = new WebSocket($("endpoint").value);
  socket.onopen = () => {
    const token = $("token").value.trim();
    send({ connect: token ? { token } : {} }, (reply) => {
      status("open", `connected as client ${reply.connect.client}`);
      show("connected");
    });
  };
  socket.onmessage = (event) => {
    for (const line of event.data.split("\n")) receive(JSON.parse(line));
  };
  socket.onclose = (event) => {
    status("closed", "not connected");
    show(`closed: ${event.code} ${event.reason}`, event.code === 1000 ? "" : "error");
    socket = null;
  };
}

$("connection").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket) socket.close(1000);
  else connect();
});

$("subscription").addEventListener("submit", (event) => {
  event.preventDefault();
  const channel = $("channel").value;
  send({ subscribe: { channel } }, () => show(`subscribed to ${channel}`));
});

$("unsubscribe").addEventListener("click", () => {
  const channel = $("channel").value;
  send({ unsubscribe: { channel } }, () => show(`unsubscribed from ${channel}`));
});

$("publication").addEventListener("submit", (event) => {
  event.preventDefault();
  let data;
  try {
    data = JSON.parse($("data").value);
  } catch (error) {
    show(`not JSON: ${error.message}`, "error");
    return;
  }
  send({ publish: { channel: $("channel").value, data } }, () => {});
});

$("endpoint").value = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/connection/websocket`;
status("closed", "not connected");
