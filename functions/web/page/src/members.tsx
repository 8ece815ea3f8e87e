// Every member: its load over time, and the table of them all.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { paths } from "./api";
import type { ViewProps } from "./app";
import { MembersChart } from "./charts/members";
import { RANGES, rangeOf } from "./charts/range";
import { count, plural, words } from "./format";
import { listing } from "./listing";
import type { Listing } from "./listing";
import { MembersTable } from "./memberstable";
import { useLast, usePoll } from "./poll";
import { href, replace, withQuery } from "./route";
import type { Route } from "./route";
import type { Members } from "./types";
import { Absent, Choice, Icon, Stale } from "./ui";

/** Beyond these the line of hot spots only counts. */
const HOT_NAMED = 6;
/** What is looked for is looked for once nothing has been typed for so long. */
const TYPED_MS = 150;

export function MembersView({ route, now, period }: ViewProps): JSX.Element {
  const wanted = listing(route);
  const { data, error } = usePoll<Members>(paths.members(now.group, useSettled(wanted)), period);
  // Until another page has come, the one before it stays.
  const shown = useLast(data);
  const range = rangeOf(route);
  // The chart is drawn anew when others are hot, and not at every answer; where more are hot than are named, when others are the hottest.
  const ids = [...(shown?.hot.ids ?? [])].sort();
  const hot = useMemo(() => new Set(ids), [JSON.stringify(ids)]);
  if (!shown) return <Absent error={error} what="members" tall />;
  return (
    <>
      <section class="panel" aria-labelledby="member-load">
        <div class="panel-head">
          <h2 id="member-load">Load of each member</h2>
          <Choice label="Range" value={range.live} options={RANGES} choose={(name) => replace(withQuery(route, { range: name, from: null, until: null }))} />
        </div>
        <MembersChart route={route} range={range} hot={hot} members={shown.total} thresholds={now.thresholds} />
      </section>
      <section class="panel" aria-labelledby="members">
        <div class="panel-head"><h1 id="members">{plural(shown.total, "member")}</h1><Hot members={shown} route={route} /></div>
        <Stale error={error} what="members" />
        <MembersTable members={shown} old={data === null} wanted={wanted} route={route} group={now.group} />
      </section>
    </>
  );
}

/** What is wanted; as long as somebody types, what was wanted before. */
function useSettled(wanted: Listing): Listing {
  const settled = useRef(wanted);
  const [, again] = useState(0);
  if (wanted.find === settled.current.find) settled.current = wanted;
  useEffect(() => {
    const timer = setTimeout(() => {
      if (settled.current.find === wanted.find) return;
      settled.current = wanted;
      again((n) => n + 1);
    }, TYPED_MS);
    return () => clearTimeout(timer);
  }, [wanted.find]);
  return settled.current;
}

function Hot({ members: { hot, phases }, route }: { members: Members; route: Route }): JSX.Element {
  const suspect = phases["suspect"] ?? 0;
  return (
    <p class="hotline">
      {hot.count === 0 ? <span class="muted">no hot spot</span> : (
        <span><Icon name="hot" /> <b>{plural(hot.count, "hot spot")}</b>: {hot.ids.slice(0, HOT_NAMED).map((id, i) => (
          <span key={id}>{i > 0 && ", "}<a href={href({ ...route, member: id })}>{id}</a></span>
        ))}{hot.count > HOT_NAMED && ` and ${count(hot.count - HOT_NAMED)} more`}</span>
      )}
      {suspect > 0 && <span><Icon name="look" /> {count(suspect)} {words("suspect")}</span>}
    </p>
  );
}
