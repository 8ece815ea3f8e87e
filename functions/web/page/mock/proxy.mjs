// The page as it is in dist, before the API of a server that runs: so that a change of the page is seen without building the server.

import { createServer } from "node:http";

import { CSP, file } from "./server.mjs";

/** Serves dist on loopback, and asks `upstream` for everything under /api/, as its own page would. */
export function proxy(upstream, port = 0) {
  const server = createServer(async (request, response) => {
    try {
      if (!request.url.startsWith("/api/")) {
        const [headers, body] = file(new URL(request.url, upstream).pathname);
        return void response.writeHead(200, { ...headers, "content-security-policy": CSP }).end(body);
      }
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const headers = Object.fromEntries(["content-type", "if-none-match"].filter((name) => request.headers[name]).map((name) => [name, request.headers[name]]));
      if (request.headers.origin) headers.origin = new URL(upstream).origin;
      const body = request.method === "GET" ? undefined : Buffer.concat(chunks);
      const answer = await fetch(new URL(request.url, upstream), { method: request.method, headers, body });
      const told = Object.fromEntries(["content-type", "etag", "date", "retry-after"].filter((name) => answer.headers.has(name)).map((name) => [name, answer.headers.get(name)]));
      response.writeHead(answer.status, told).end(Buffer.from(await answer.arrayBuffer()));
    } catch (error) {
      response.writeHead(error.status ?? 502).end();
    }
  });
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => resolve({ server, url: `http://127.0.0.1:${server.address().port}/` }));
  });
}
