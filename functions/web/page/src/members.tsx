// Every member: its load over time, and the table of them all.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";

import { paths } from "./api";
import type { ViewProps } from "./app";
import { MembersChart } from "./charts/members";
import { RANGES, rangeOf } from "./charts/range";
import { count, plural, words } from "./format";
import { MembersTable } from "./memberstable";
import { usePoll } from "./poll";
import { href, replace, withQuery } from "./route";
import type { Route } from "./route";
import type { Member, Members } from "./types";
import { Absent, Choice, Icon, Stale } from "./ui";

/** Beyond these the line of hot spots only counts. */
const HOT_NAMED = 6;

export function MembersView({ route, now, period }: ViewProps): JSX.Element {
  const { data, error } = usePoll<Members>(paths.members(now.group), period);
  const range = rangeOf(route);
  const members = data?.members;
  // The chart is drawn anew when others are hot, and not at every answer.
  const hotIds = members?.filter((member) => member.hot).map((member) => member.id).sort() ?? [];
  const hot = useMemo(() => new Set(hotIds), [JSON.stringify(hotIds)]);
  if (!members) return <Absent error={error} what="members" tall />;
  return (
    <>
      <section class="panel" aria-labelledby="member-load">
        <div class="panel-head">
          <h2 id="member-load">Load of each member</h2>
          <Choice label="Range" value={range.live} options={RANGES} choose={(name) => replace(withQuery(route, { range: name, from: null, until: null }))} />
        </div>
        <MembersChart route={route} range={range} hot={hot} members={members.length} thresholds={now.thresholds} />
      </section>
      <section class="panel" aria-labelledby="members">
        <div class="panel-head"><h1 id="members">{plural(members.length, "member")}</h1><Hot members={members} route={route} /></div>
        <Stale error={error} what="members" />
        <MembersTable members={members} route={route} group={now.group} />
      </section>
    </>
  );
}

function Hot({ members, route }: { members: Member[]; route: Route }): JSX.Element {
  const hot = members.filter((member) => member.hot).sort((a, b) => (b.load ?? 0) - (a.load ?? 0));
  const suspect = members.filter((member) => member.phase === "suspect").length;
  return (
    <p class="hotline">
      {hot.length === 0 ? <span class="muted">no hot spot</span> : (
        <span><Icon name="hot" /> <b>{plural(hot.length, "hot spot")}</b>: {hot.slice(0, HOT_NAMED).map((member, i) => (
          <span key={member.id}>{i > 0 && ", "}<a href={href({ ...route, member: member.id })}>{member.id}</a></span>
        ))}{hot.length > HOT_NAMED && ` and ${count(hot.length - HOT_NAMED)} more`}</span>
      )}
      {suspect > 0 && <span><Icon name="look" /> {count(suspect)} {words("suspect")}</span>}
    </p>
  );
}
