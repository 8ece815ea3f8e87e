// Prints what a browser has to fetch, and ends with 1 when the script is more than it may be.

import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

const MOST_SCRIPT = 60_000;
const dist = new URL("../dist/", import.meta.url);
let script = 0;
for (const name of ["index.html", ...readdirSync(new URL("assets/", dist)).map((file) => `assets/${file}`)]) {
  const bytes = readFileSync(new URL(name, dist));
  const packed = gzipSync(bytes, { level: 9 }).length;
  if (name.endsWith(".js")) script += packed;
  console.log(`${name}: ${bytes.length} bytes, ${packed} gzip`);
}
console.log(`script: ${script} bytes gzip of at most ${MOST_SCRIPT}`);
if (script > MOST_SCRIPT) process.exit(1);
