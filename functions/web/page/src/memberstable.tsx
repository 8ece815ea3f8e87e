// The table of the members. A page of it is rendered at a time, so that a thousand members cost no more than fifty.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";

import { count, iso, percent, span, utc, words } from "./format";
import { href, replace, withQuery } from "./route";
import type { Route } from "./route";
import { Spark } from "./spark";
import { useNow } from "./tick";
import type { Member } from "./types";
import { Badge, Icon } from "./ui";

const PAGE = 50;

type Column = "id" | "phase" | "zone" | "age" | "load" | "answer" | "agent";
const COLUMNS: [Column, string, string][] = [
  ["id", "Instance", ""], ["phase", "State", ""], ["zone", "Zone", "wide-only"], ["age", "Age", "wide-only number"], ["load", "Load", ""], ["answer", "Last answer", "wide-only number"],
  ["agent", "Agent", "wide-only number"],
];
/** What wants to be seen first stands first. */
const PHASES = ["suspect", "terminating", "draining", "pending", "warming", "in-service"];

const KEYS: Record<Column, (member: Member) => number | string> = {
  id: (member) => member.id,
  phase: (member) => PHASES.indexOf(member.phase),
  zone: (member) => member.zone,
  age: (member) => -(member.launched_at ?? Infinity),
  load: (member) => member.load ?? -1,
  answer: (member) => member.last_answer ?? 0,
  agent: (member) => member.agent_version,
};

interface Asked {
  sort: Column;
  down: boolean;
  phase: string;
  find: string;
  page: number;
}

const asked = (route: Route): Asked => {
  const sort = COLUMNS.find(([column]) => column === route.query.get("sort"))?.[0];
  return {
    sort: sort ?? "load",
    down: route.query.get("order") !== "up",
    phase: route.query.get("phase") ?? "",
    find: route.query.get("find") ?? "",
    page: Math.max(0, Math.floor(Number(route.query.get("page") ?? 0)) || 0),
  };
};

function chosen(members: Member[], { sort, down, phase, find }: Asked): Member[] {
  const key = KEYS[sort];
  const sign = down ? -1 : 1;
  const sought = find.toLowerCase();
  const suits = (member: Member): boolean =>
    (phase === "" || (phase === "hot" ? member.hot : member.phase === phase)) &&
    (sought === "" || `${member.id} ${member.zone} ${member.detail} ${member.template ?? ""} ${member.agent_version}`.toLowerCase().includes(sought));
  return members.filter(suits).sort((a, b) => sign * order(key(a), key(b)) || order(a.id, b.id));
}

/** Names of instances, zones and versions are ASCII: no language sorts them otherwise, and a thousand are sorted at every answer. */
const order = <T extends number | string>(x: T, y: T): number => (x < y ? -1 : x > y ? 1 : 0);

export function MembersTable({ members, route, group }: { members: Member[]; route: Route; group: string }): JSX.Element {
  const wants = asked(route);
  const rows = useMemo(() => chosen(members, wants), [members, route]);
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const page = Math.min(wants.page, pages - 1);
  const set = (parts: Record<string, string | null>): void => replace(withQuery(route, { page: null, ...parts }));
  const sortBy = (column: Column): void => set({ sort: column, order: wants.sort === column && wants.down ? "up" : null });
  const phases = [...new Set(members.map((member) => member.phase))];
  return (
    <>
      <div class="filters">
        <input type="search" aria-label="Find members" placeholder="Find an instance, zone or reason" value={wants.find} onInput={(event) => set({ find: event.currentTarget.value })} />
        <select aria-label="State" value={wants.phase} onChange={(event) => set({ phase: event.currentTarget.value })}>
          <option value="">every state</option>
          <option value="hot">hot spots</option>
          {phases.map((phase) => <option key={phase} value={phase}>{words(phase)}</option>)}
        </select>
        <span class="muted" role="status">{rows.length === members.length ? "" : `${count(rows.length)} of ${count(members.length)}`}</span>
      </div>
      <div class="scroll">
        <table class="members">
          <thead>
            <tr>
              {COLUMNS.map(([column, text, kind]) => (
                <th key={column} scope="col" class={kind} aria-sort={wants.sort === column ? (wants.down ? "descending" : "ascending") : undefined}>
                  <button type="button" onClick={() => sortBy(column)}>{text}<span aria-hidden="true">{wants.sort === column ? (wants.down ? " ▾" : " ▴") : ""}</span></button>
                </th>
              ))}
              <th scope="col" class="wide-only">What it does</th>
            </tr>
          </thead>
          <tbody>{rows.slice(page * PAGE, (page + 1) * PAGE).map((member) => <Row key={member.id} member={member} route={route} />)}</tbody>
        </table>
        {rows.length === 0 && <p class="muted none">{members.length === 0 ? `${group} has no members.` : "No member is like that."}</p>}
      </div>
      {pages > 1 && (
        <div class="pager" role="group" aria-label="Pages">
          <button type="button" disabled={page === 0} onClick={() => set({ page: String(page - 1) })}>Previous</button>
          <span role="status">{count(page * PAGE + 1)}–{count(Math.min(rows.length, (page + 1) * PAGE))} of {count(rows.length)}</span>
          <button type="button" disabled={page >= pages - 1} onClick={() => set({ page: String(page + 1) })}>Next</button>
        </div>
      )}
    </>
  );
}

function Row({ member, route }: { member: Member; route: Route }): JSX.Element {
  return (
    <tr class={member.hot ? "hot" : undefined}>
      <th scope="row">
        <a href={href({ ...route, member: member.id })}>{member.id}</a>
        {member.protected && <span class="protected" title="protected: it is not scaled in"><Icon name="shield" /><span class="unseen"> protected</span></span>}
      </th>
      <td><Phase member={member} /></td>
      <td class="wide-only">{member.zone || "–"}</td>
      <td class="wide-only number"><Old at={member.launched_at} /></td>
      <td class="loadcell"><Spark values={member.spark} hot={member.hot} /><b>{percent(member.load)}</b>{member.hot && <span class="hotmark" title="hot spot"><Icon name="hot" /><span class="unseen">hot spot</span></span>}</td>
      <td class="wide-only number"><Old at={member.last_answer} /></td>
      <td class="wide-only number">{member.agent_version || "–"}</td>
      <td class="wide-only detail">{doing(member)}</td>
    </tr>
  );
}

export const Phase = ({ member }: { member: Member }): JSX.Element => <Badge kind={`phase phase-${member.phase}`}>{words(member.phase)}</Badge>;

/** How long ago, without a timer of its own: a row is rendered whenever the members are read. */
function Old({ at }: { at: number | null }): JSX.Element {
  return at === null ? <span>–</span> : <Passed at={at} />;
}

function Passed({ at }: { at: number }): JSX.Element {
  const now = useNow();
  return <time datetime={iso(at)} title={utc(at)}>{span(now - at)}</time>;
}

/** What it is doing about leaving, or why it is suspect. */
export function doing(member: Member): string {
  const said: string[] = [];
  if (member.leaving) said.push(`leaving (${words(member.leaving.cause)})${member.agent ? `, its agent says ${words(member.agent)}` : ""}`);
  else if (member.marked_since !== null) said.push("to be drained by hand once its replacement serves");
  if (member.replaces) said.push(`replaces ${member.replaces}`);
  if (member.detail) said.push(member.detail);
  return said.join("; ");
}
