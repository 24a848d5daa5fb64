// A TCP proxy between a client and the server, which a scenario cuts. cmd/stentor/sdk_line_test.go is its twin.
import net from "node:net";

export class Line {
  fromServer = 0; // bytes, as toServer
  toServer = 0;
  #dead = false;
  #sockets = new Set(); // of both sides
  #listener;
  #server; // url

  // A line to the server at url, http://host:port.
  static async to(url) {
    const line = new Line();
    line.lead(url);
    line.#listener = net.createServer((client) => {
      const { hostname, port } = new URL(line.#server);
      line.#join(client, net.connect(Number(port), hostname));
    });
    await new Promise((resolve) => line.#listener.listen(0, "127.0.0.1", resolve));
    line.url = `http://127.0.0.1:${line.#listener.address().port}`;
    return line;
  }

  // Leads clients that come from now on to the server at url.
  lead(url) {
    this.#server = url;
  }

  #join(client, server) {
    for (const [one, other] of [[client, server], [server, client]]) {
      this.#sockets.add(one);
      one.on("error", () => {}); // a reset is what a cut is
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    client.on("data", (data) => (this.toServer += data.length));
    server.on("data", (data) => (this.fromServer += data.length));
    client.pipe(server);
    server.pipe(client);
    if (this.#dead) client.destroy();
  }

  // Breaks all connections, and those that come, until mend.
  cut() {
    this.#dead = true;
    for (const socket of this.#sockets) socket.resetAndDestroy(); // as of a router that has forgotten the connection
  }

  // Lets clients through again.
  mend() {
    this.#dead = false;
  }

  close() {
    this.#listener.close();
    this.cut();
  }
}
