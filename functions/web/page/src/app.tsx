// The frame: which group, which view, whether anybody answers. Each view reads what it needs itself.

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { ActivityView } from "./activity";
import { paths } from "./api";
import { bring } from "./charts/plot";
import { DecisionDialog } from "./decision";
import { local } from "./format";
import { GroupsView } from "./groups";
import { MemberDialog } from "./member";
import { MembersView } from "./members";
import { Overview } from "./overview";
import { PauseBanner, PauseButton } from "./pause";
import { PolicyView } from "./policy/view";
import { paced, prefetch, useLost, usePoll } from "./poll";
import type { Route, View } from "./route";
import { go, href, parse } from "./route";
import { setTheme, useTheme } from "./theme";
import type { Theme } from "./theme";
import type { GroupList, Now } from "./types";
import { Absent, Age, Icon, Stale } from "./ui";

const TABS: [View, string][] = [["overview", "Overview"], ["members", "Members"], ["policy", "Policy"], ["activity", "Activity"]];
/** The list of groups is read this often beside a group's own view. */
const GROUPS_MS = 15_000;
const GROUPS_SHOWN_MS = 5_000;

function useRoute(): Route {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    const moved = (): void => setRoute(parse(location.hash));
    window.addEventListener("hashchange", moved);
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  return route;
}

export function App(): JSX.Element {
  const route = useRoute();
  const listed = route.view === "groups";
  const groups = usePoll<GroupList>(paths.groups(), listed ? GROUPS_SHOWN_MS : GROUPS_MS);
  const only = groups.data?.groups.length === 1 && groups.data.unreadable.length === 0 ? groups.data.groups[0]?.group : undefined;
  useEffect(() => {
    if (listed && only !== undefined) location.replace(href({ view: "overview", group: only }));
  }, [listed, only]);
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>Skip to the content</a>
      {listed ? (
        <>
          <Top route={route} groups={groups.data} now={null} />
          <Lost />
          <main id="main" tabIndex={-1}><GroupsView resource={groups} /></main>
        </>
      ) : <Group key={route.group} route={route} groups={groups.data} />}
    </>
  );
}

/** The address's `#` says where one is, so the skip link moves the focus itself. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Group({ route, groups }: { route: Route; groups: GroupList | null }): JSX.Element {
  useMemo(() => prefetch(route), [route.view]);
  // A chart that cannot have it says so itself.
  useEffect(() => void bring().catch(() => undefined), []);
  const period = paced(groups?.groups.find((row) => row.group === route.group)?.period_ms ?? 2_000);
  const now = usePoll<Now>(paths.now(route.group), period);
  useEffect(() => {
    document.title = now.data ? `${now.data.attention === "fine" ? "" : "! "}${now.data.group} – Muster` : "Muster";
  }, [now.data?.group, now.data?.attention]);
  const close = (): void => go({ ...route, decision: null, member: null });
  const props = { route, now: now.data, period, refresh: now.refresh };
  return (
    <>
      <Top route={route} groups={groups} now={now.data} refresh={now.refresh} />
      <Lost />
      {now.data && <PauseBanner now={now.data} refresh={now.refresh} />}
      <main id="main" tabIndex={-1}>
        {now.data === null && <Absent error={now.error} what={`group ${route.group}`} tall />}
        {now.data !== null && <Stale error={now.error} what="group" />}
        {now.data !== null && <CurrentView {...props} now={now.data} />}
      </main>
      {route.decision && <DecisionDialog group={route.group} id={route.decision} close={close} />}
      {route.member && <MemberDialog route={route} id={route.member} period={period} close={close} />}
    </>
  );
}

export interface ViewProps {
  route: Route;
  now: Now;
  /** How often to read, in milliseconds. */
  period: number;
  /** Reads the group at once, after something was changed. */
  refresh: () => void;
}

function CurrentView(props: ViewProps): JSX.Element {
  switch (props.route.view) {
    case "members": return <MembersView {...props} />;
    case "policy": return <PolicyView {...props} />;
    case "activity": return <ActivityView {...props} />;
    case "groups":
    case "overview": return <Overview {...props} />;
  }
}

function Top({ route, groups, now, refresh }: { route: Route; groups: GroupList | null; now: Now | null; refresh?: () => void }): JSX.Element {
  const place = now?.place ?? groups?.place;
  const several = (groups?.groups.length ?? 0) + (groups?.unreadable.length ?? 0) > 1;
  return (
    <header class="top">
      <div class="bar">
        <a class="brand" href="#/" aria-label="Muster, all groups"><Mark /><span>Muster</span></a>
        {place && <span class="place" title="what this page looks at">{place}</span>}
        {route.group && (several && groups
          ? <GroupSelect groups={groups} route={route} />
          : <span class="current">{route.group}</span>)}
        <span class="grow" />
        {now?.sweep && <span class="swept">swept <Age at={now.sweep.slot} /></span>}
        {now && refresh && <PauseButton now={now} refresh={refresh} />}
        <ThemeButton />
      </div>
      {route.group && (
        <nav class="tabs" aria-label="Views of the group">
          {TABS.map(([view, text]) => (
            <a key={view} href={href({ view, group: route.group })} aria-current={route.view === view ? "page" : undefined}>{text}</a>
          ))}
        </nav>
      )}
    </header>
  );
}

const Mark = (): JSX.Element => (
  <svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><rect width="16" height="16" rx="3.500" /><path d="M3 12V8.500M6.300 12V6M9.700 12V4M13 12V7" /></svg>
);

function GroupSelect({ groups, route }: { groups: GroupList; route: Route }): JSX.Element {
  const others = groups.groups.filter((row) => row.attention !== "fine" && row.group !== route.group).length + groups.unreadable.length;
  const names = groups.groups.map((row) => row.group);
  const all = names.includes(route.group) ? names : [route.group, ...names];
  return (
    <span class="groupselect">
      <select aria-label="Group" value={route.group} onChange={(event) => go({ view: route.view, group: event.currentTarget.value })}>
        {all.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
      {others > 0 && <a class="others" href="#/" title="other groups need a look"><Icon name="look" /> {others}<span class="unseen"> other groups need a look</span></a>}
    </span>
  );
}

const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const THEMES: Record<Theme, string> = { auto: "◐", light: "☀", dark: "☾" };

function ThemeButton(): JSX.Element {
  const { theme } = useTheme();
  const said = theme === "auto" ? "as the system" : theme;
  return (
    <button type="button" class="quiet theme" title={`Colours: ${said}`} aria-label={`Colours: ${said}; change`} onClick={() => setTheme(NEXT[theme])}>
      <span aria-hidden="true">{THEMES[theme]}</span>
    </button>
  );
}

/** Says that nobody answers. What was read before stays where it is. */
function Lost(): JSX.Element | null {
  const since = useLost();
  if (since === null) return null;
  return (
    <div class="lost" role="alert">
      <Icon name="look" /> Connection lost since {local(since, Date.now())} (<Age at={since} ago={false} />). What you see is what was last known; it is tried again.
    </div>
  );
}
