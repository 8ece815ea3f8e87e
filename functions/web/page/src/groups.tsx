// All groups: which of them needs a look. Those that do stand first.

import type { JSX } from "preact";

import { among, count, percent, words } from "./format";
import type { Resource } from "./poll";
import { href } from "./route";
import type { Attention, GroupList, GroupRow } from "./types";
import { Absent, Age, Badge, Notice, Stale, State } from "./ui";

const ORDER: Record<Attention, number> = { bad: 0, look: 1, fine: 2 };

export function GroupsView({ resource }: { resource: Resource<GroupList> }): JSX.Element {
  if (resource.data === null) return <Absent error={resource.error} what="list of groups" tall />;
  const groups = [...resource.data.groups].sort((a, b) => (among(ORDER, a.attention) ?? 0) - (among(ORDER, b.attention) ?? 0) || a.group.localeCompare(b.group));
  const { unreadable } = resource.data;
  const needy = groups.filter((row) => row.attention !== "fine").length + unreadable.length;
  const all = groups.length + unreadable.length;
  return (
    <>
      <Stale error={resource.error} what="list of groups" />
      <section class="panel" aria-labelledby="groups">
        <h1 id="groups">{needy === 0 ? `All ${count(all)} groups are fine` : `${count(needy)} of ${count(all)} groups ${needy === 1 ? "needs" : "need"} a look`}</h1>
        {unreadable.map((row) => <Notice key={row.group} kind="bad"><b>{row.group}</b> cannot be read: {row.why}</Notice>)}
        {all === 0 ? <p class="muted">No group is here yet.</p> : (
          <ul class="grouplist">{groups.map((row) => <li key={row.group}><GroupLine row={row} /></li>)}</ul>
        )}
      </section>
    </>
  );
}

function GroupLine({ row }: { row: GroupRow }): JSX.Element {
  return (
    <a class="groupline" href={href({ view: "overview", group: row.group })}>
      <span class="g-state"><State attention={row.attention} paused={row.mode === "paused"} /></span>
      <span class="g-name"><b>{row.group}</b> {row.mode !== "active" && (row.mode !== "paused" || row.attention !== "fine") && <Badge kind="look">{words(row.mode)}</Badge>}</span>
      <span class="g-why">{row.why ?? row.headline ?? "nothing has been decided yet"}</span>
      <span class="g-size"><b>{count(row.serving)}</b> of {count(row.desired)} serve</span>
      <span class="g-bounds">{row.min === null || row.max === null ? "" : `${count(row.min)}–${count(row.max)}`}</span>
      <span class="g-mean">{percent(row.mean)}</span>
      <span class="g-age">{row.last_slot === null ? "never swept" : <>swept <Age at={row.last_slot} /></>}</span>
    </a>
  );
}
