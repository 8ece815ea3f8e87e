// Serves the built page and the API of a world in memory, with the guards' headers of the real one. For development and for tests.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import * as answers from "./answers.mjs";
import { Group } from "./world.mjs";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };
export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The groups that one sees without saying anything else. */
export const usual = () => [
  new Group("web", { size: 9 }),
  new Group("checkout", { size: 6, attention: "look", why: "2 of the agents have been silent for 4 m", silent: [0, 1], faults: [{ what: "stale-sweep", text: "the last sweep took 9 s of its 10", since: Date.now() - 600_000 }] }),
  new Group("batch", { size: 3, policy: { pause: { reason: "migration of the queue, Ann", until: new Date(Date.now() + 2_400_000).toISOString() } } }),
  new Group("render-farm", { size: 5, attention: "bad", why: "EC2 refuses every launch: UnauthorizedOperation", notice: "an edit of the policy was refused: scaling.cpu_up_threshold is 0.7: percentages are 0-100; version 1 stays in force" }),
];

export class Mock {
  constructor(groups = usual(), place = "local") {
    this.groups = new Map(groups.map((group) => [group.name, group]));
    this.place = place;
    /** Answers nobody while it is true. */
    this.deaf = false;
    /** Answers that it cannot read its tables while it is true. */
    this.failing = false;
    /** Every request: method, path, status, bytes. */
    this.log = [];
    /** Groups whose record cannot be understood. */
    this.unreadable = [];
    this.open = 0;
    this.mostOpen = 0;
    this.server = createServer((request, response) => void this.take(request, response));
  }

  listen(port = 0) {
    return new Promise((resolve) => {
      this.server.listen(port, "127.0.0.1", () => resolve(`http://127.0.0.1:${this.server.address().port}/`));
    });
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => void this.server.close(resolve));
  }

  async take(request, response) {
    if (this.deaf) return void request.socket.destroy();
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    response.on("close", () => { this.open -= 1; });
    const url = new URL(request.url, "http://127.0.0.1");
    let [status, headers, body] = [200, { "content-type": "application/json" }, ""];
    try {
      if (url.pathname.startsWith("/api/")) {
        if (this.failing) throw answers.refuse(503, "unavailable", "the tables cannot be read");
        body = JSON.stringify(this.api(request.method, url, request.method === "GET" ? {} : await json(request)));
        if (request.method === "GET") {
          headers.etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
          if (request.headers["if-none-match"] === headers.etag) [status, body] = [304, ""];
        }
      } else {
        [headers, body] = file(url.pathname);
      }
    } catch (error) {
      [status, body] = [error.status ?? 500, JSON.stringify(error.body ?? { error: { code: "unavailable", message: String(error) } })];
      if (!error.status) console.error(error);
    }
    this.log.push({ method: request.method, path: url.pathname + url.search, status, bytes: body.length });
    response.writeHead(status, { ...headers, "content-security-policy": CSP, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-cache" });
    response.end(body);
  }

  api(method, url, body) {
    const parts = url.pathname.split("/").slice(2).map(decodeURIComponent);
    const [first, name, ...rest] = parts;
    for (const group of this.groups.values()) group.live(Date.now());
    if (first === "groups" && name === undefined) return { place: this.place, groups: [...this.groups.values()].map(answers.line), unreadable: this.unreadable };
    if (first === "policy" && name === "schema") return answers.schema;
    if (first === "policy" && name === "defaults") return answers.defaults(url.searchParams.get("kind") ?? undefined);
    if (first === "policy" && name === "check") return answers.check(body.text);
    const group = first === "groups" ? this.groups.get(name) : undefined;
    if (!group) throw answers.refuse(404, "not-found", `there is no group ${name}`);
    return this.ofGroup(method, group, rest, url.searchParams, body);
  }

  ofGroup(method, group, rest, query, body) {
    switch (`${method} ${rest.length > 1 && rest[0] === "members" && rest[1] !== "load" ? ["members/*", ...rest.slice(2)].join("/") : rest[0] === "decisions" ? "decisions" : rest.join("/")}`) {
      case "GET ": return answers.now(group, this.place);
      case "GET members": return answers.page(group, query);
      case "GET members/*": return answers.member(group, rest[1]);
      case "GET load": return answers.load(group, query);
      case "GET members/*/load": return answers.membersLoad(group, query, rest[1]);
      case "GET members/load": return answers.membersLoad(group, query);
      case "GET activity": return answers.activity(group, query);
      case "GET decisions": return answers.decision(group, rest[1]);
      case "GET policy": return answers.policy(group);
      case "GET policy/history": return answers.history(group);
      case "PUT policy": return this.put(group, body.text, body.revision);
      case "POST policy/preview": return answers.preview(group, body.text, body.since_ms ?? 86_400_000);
      case "POST pause": return group.put(`${JSON.stringify({ ...JSON.parse(group.text), pause: { reason: body.reason, ...(body.until ? { until: new Date(body.until).toISOString() } : {}) } }, null, 2)}\n`);
      case "POST resume": {
        const { pause, mode, ...document } = JSON.parse(group.text);
        return group.put(`${JSON.stringify({ ...(mode && mode !== "paused" ? { mode } : {}), ...document }, null, 2)}\n`);
      }
      case "POST members/*/protect": case "POST members/*/drain": return steer(group, rest[1], rest[2], body.on);
      default: throw answers.refuse(404, "not-found", `there is no ${rest.join("/")}`);
    }
  }

  put(group, text, over) {
    const { valid, problems } = answers.check(text);
    if (!valid) throw answers.refuse(422, "invalid-policy", "the policy is not valid", { problems });
    if (over !== group.revision) {
      const found = { text: group.text, revision: group.revision, version: group.versions[0].version };
      throw answers.refuse(409, "lost-update", "the policy was saved by somebody else meanwhile", { found });
    }
    return group.put(text);
  }
}

function steer(group, id, what, on) {
  const member = group.members.find((other) => other.id === id);
  if (!member) throw answers.refuse(404, "not-found", `there is no member ${id}`);
  if (what === "protect") member.protected = on;
  else member.drain = on ? { since: Date.now(), cause: "operator" } : null;
  group.did(on ? "draining" : "taken-back", Date.now(), `${what} ${id}: ${on ? "on" : "off"}`, "operator", id);
  return { instance: id, [what === "protect" ? "protected" : "drain"]: on };
}

async function json(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  if (!request.headers["content-type"]?.startsWith("application/json")) throw answers.refuse(403, "forbidden", "a write needs a JSON body");
  return JSON.parse(text);
}

export function file(pathname) {
  const path = normalize(pathname === "/" ? "/index.html" : pathname);
  const found = join(DIST, path);
  if (!existsSync(found) || !TYPES[extname(found)]) throw answers.refuse(404, "not-found", `there is no ${path}`);
  return [{ "content-type": TYPES[extname(found)] }, readFileSync(found, "utf8")];
}
