// `npm run dev`: the built page over a world in memory. `--members 1000` makes a large group of it; `--api URL` asks a server that runs instead.

import { proxy } from "./proxy.mjs";
import { Mock, usual } from "./server.mjs";
import { Group } from "./world.mjs";

const at = process.argv.indexOf("--members");
const size = at < 0 ? 0 : Number(process.argv[at + 1]);
const groups = size > 0 ? [...usual(), new Group("large", { size: size * 0.6, start: size, policy: { max_instances: size * 2 } })] : usual();
const api = process.argv.indexOf("--api");
const port = Number(process.env.PORT ?? 0);
console.log(api < 0 ? await new Mock(groups).listen(port) : (await proxy(process.argv[api + 1], port)).url);
