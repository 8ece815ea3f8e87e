// The table of the members: a page of them, so that a thousand cost no more than fifty.

import type { JSX } from "preact";

import { count, percent, words } from "./format";
import { PAGE } from "./listing";
import type { Listing, Sort } from "./listing";
import { href, replace, withQuery } from "./route";
import type { Route } from "./route";
import { Spark } from "./spark";
import type { Member, Members } from "./types";
import { Age, Badge, Icon } from "./ui";

const COLUMNS: [Sort, string, string][] = [
  ["id", "Instance", ""], ["phase", "State", ""], ["zone", "Zone", "wide-only"], ["age", "Age", "wide-only number"], ["load", "Load", ""], ["answer", "Last answer", "wide-only number"],
  ["agent", "Agent", "wide-only number"],
];

interface Props {
  members: Members;
  /** Whether others are asked for, and have not come yet. */
  old: boolean;
  wanted: Listing;
  route: Route;
  group: string;
}

export function MembersTable({ members: { members: rows, total, matching, page, phases }, old, wanted, route, group }: Props): JSX.Element {
  const pages = Math.ceil(matching / PAGE);
  // Who presses twice before the first answer means the page after the next.
  const at = old ? Math.min(wanted.page, Math.max(0, pages - 1)) : page;
  const set = (parts: Record<string, string | null>): void => replace(withQuery(route, { page: null, ...parts }));
  const sortBy = (column: Sort): void => set({ sort: column, order: wanted.sort === column && wanted.down ? "up" : null });
  const states = new Set(Object.keys(phases));
  if (wanted.only !== "" && wanted.only !== "hot") states.add(wanted.only);
  return (
    <>
      <div class="filters">
        <input type="search" aria-label="Find members" placeholder="Find an instance, zone or reason" value={wanted.find} onInput={(event) => set({ find: event.currentTarget.value })} />
        <select aria-label="State" value={wanted.only} onChange={(event) => set({ phase: event.currentTarget.value })}>
          <option value="">every state</option>
          <option value="hot">hot spots</option>
          {[...states].map((phase) => <option key={phase} value={phase}>{words(phase)}</option>)}
        </select>
        <span class="muted" role="status">{matching === total ? "" : `${count(matching)} of ${count(total)}`}</span>
      </div>
      <div class={old ? "scroll old" : "scroll"} aria-busy={old}>
        <table class="members">
          <thead>
            <tr>
              {COLUMNS.map(([column, text, kind]) => (
                <th key={column} scope="col" class={kind} aria-sort={wanted.sort === column ? (wanted.down ? "descending" : "ascending") : undefined}>
                  <button type="button" onClick={() => sortBy(column)}>{text}<span aria-hidden="true">{wanted.sort === column ? (wanted.down ? " ▾" : " ▴") : ""}</span></button>
                </th>
              ))}
              <th scope="col" class="wide-only">What it does</th>
            </tr>
          </thead>
          <tbody>{rows.map((member) => <Row key={member.id} member={member} route={route} />)}</tbody>
        </table>
        {rows.length === 0 && <p class="muted none">{total === 0 ? `${group} has no members.` : "No member is like that."}</p>}
      </div>
      {pages > 1 && (
        <div class="pager" role="group" aria-label="Pages">
          <button type="button" disabled={at === 0} onClick={() => set({ page: String(at - 1) })}>Previous</button>
          <span role="status">{count(page * PAGE + 1)}–{count(page * PAGE + rows.length)} of {count(matching)}</span>
          <button type="button" disabled={at >= pages - 1} onClick={() => set({ page: String(at + 1) })}>Next</button>
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

const Old = ({ at }: { at: number | null }): JSX.Element => (at === null ? <span>–</span> : <Age at={at} ago={false} />);

/** What it is doing about leaving, or why it is suspect. */
export function doing(member: Member): string {
  const said: string[] = [];
  if (member.leaving) said.push(`leaving (${words(member.leaving.cause)})${member.agent ? `, its agent says ${words(member.agent)}` : ""}`);
  else if (member.marked_since !== null) said.push("to be drained by hand once its replacement serves");
  if (member.replaces) said.push(`replaces ${member.replaces}`);
  if (member.detail) said.push(member.detail);
  return said.join("; ");
}
