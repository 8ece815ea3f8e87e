// One member: what it does, its load over time, and what can be done with it.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";

import { mark, paths } from "./api";
import { Plot, common } from "./charts/plot";
import { spanOf } from "./charts/range";
import { Act, Dialog } from "./dialog";
import { among, decimal, percent, span, words } from "./format";
import { Phase, doing } from "./memberstable";
import { keptOf, usePoll } from "./poll";
import { href } from "./route";
import type { Route } from "./route";
import { colours, useTheme } from "./theme";
import type { Member, Members, MembersLoad } from "./types";
import { Absent, Age, Icon, Left, Notice, Stale, Time } from "./ui";

const POINTS = 120;
const CHART_HEIGHT = 160;
const LOAD_MS = 15_000;

export function MemberDialog({ route, id, period, close }: { route: Route; id: string; period: number; close: () => void }): JSX.Element {
  const { data, error, refresh } = usePoll<Member>(paths.member(route.group, id), period);
  // An address may name anything: also what is no member's answer.
  const gone = error?.status === 404 || (data !== null && data.id !== id);
  // Until it has come, and while it cannot be read: what the table knows of it.
  const row = useMemo(() => keptOf<Members>(`${paths.now(route.group)}/members?`).flatMap(({ members }) => members).filter((one) => one.id === id).at(-1), [id]);
  const shown = data ?? row;
  return (
    <Dialog title={id} close={close} side>
      {gone
        ? <Notice kind="info">{id} is not a member of {route.group} any more. <a href={href({ view: "activity", group: route.group })}>Its activity</a> says why.</Notice>
        : shown ? <><Stale error={error} what="member" /><Card member={shown} route={route} refresh={refresh} /></>
          : <Absent error={error} what="member" tall />}
    </Dialog>
  );
}

type Doing = { what: "protect" | "drain"; on: boolean } | null;

function Card({ member, route, refresh }: { member: Member; route: Route; refresh: () => void }): JSX.Element {
  const [asking, setAsking] = useState<Doing>(null);
  // What has been asked for, until the group shows it.
  const [wanted, setWanted] = useState<Doing>(null);
  const leaving = member.leaving;
  const is = { protect: member.protected, drain: member.marked_since !== null || leaving !== null };
  const asked = wanted !== null && is[wanted.what] !== wanted.on ? TITLES[wanted.what][wanted.on ? 1 : 0] : null;
  return (
    <article class="member">
      <p class="chips"><Phase member={member} />{member.hot && <span class="badge badge-bad"><Icon name="hot" /> hot spot</span>}{member.protected && <span class="badge"><Icon name="shield" /> protected</span>}</p>
      {leaving === null && member.marked_since !== null && (
        <Notice kind="info">It is to be drained by hand since <Time at={member.marked_since} />. {member.protected ? "It is protected, and stays until that is taken away." : "Another one is launched in its place first, where max_instances has room."}</Notice>
      )}
      {asked !== null && <Notice kind="info" live>{asked} is asked for: the controller reads it at its next decision.</Notice>}
      {member.detail && <Notice kind={member.phase === "suspect" ? "look" : "info"}>{member.detail}</Notice>}
      <MemberChart group={route.group} member={member} />
      <Facts member={member} />
      {leaving && <p>{doing(member)}. Since <Time at={leaving.since} />{leaving.timeout_ms !== null && <>, <Left until={leaving.since + leaving.timeout_ms} /></>}.</p>}
      <div class="actions">
        {member.protected_by_agent
          ? <span class="muted">Its own agent asks that it is protected: that ends when the agent says so.</span>
          : <button type="button" onClick={() => setAsking({ what: "protect", on: !member.protected })}>{member.protected ? "Take the protection away…" : "Protect…"}</button>}
        {leaving === null && member.marked_since === null
          ? <button type="button" class="danger" onClick={() => setAsking({ what: "drain", on: true })}>Drain…</button>
          : (leaving === null || leaving.cause === "operator") && <button type="button" onClick={() => setAsking({ what: "drain", on: false })}>Take the drain back…</button>}
      </div>
      {asking && <Confirm member={member} group={route.group} {...asking} close={() => setAsking(null)} refresh={() => {
        setWanted(asking);
        refresh();
      }} />}
    </article>
  );
}

function Facts({ member }: { member: Member }): JSX.Element {
  const signals = Object.entries(member.signals);
  return (
    <dl class="facts">
      <div><dt>Load</dt><dd>{percent(member.load)}</dd></div>
      <div><dt>Zone</dt><dd>{member.zone || "–"}</dd></div>
      <div><dt>Launched</dt><dd>{member.launched_at === null ? "–" : <Age at={member.launched_at} />}</dd></div>
      <div><dt>Booted in</dt><dd>{member.launched_at !== null && member.first_answer !== null ? span(member.first_answer - member.launched_at) : "–"}</dd></div>
      <div><dt>Last answer</dt><dd>{member.last_answer === null ? "never" : <Age at={member.last_answer} />}</dd></div>
      {member.silent_since !== null && <div><dt>Silent for</dt><dd><Age at={member.silent_since} ago={false} /></dd></div>}
      <div><dt>Agent says</dt><dd>{member.agent ? words(member.agent) : "–"}</dd></div>
      <div><dt>Agent version</dt><dd>{member.agent_version || "–"}</dd></div>
      <div><dt>Template</dt><dd>{member.template ? `${member.template}${member.template_version === null ? "" : ` v${member.template_version}`}` : "–"}</dd></div>
      <div><dt>Shard</dt><dd>{member.shard}</dd></div>
      {signals.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{decimal(value)}</dd></div>)}
    </dl>
  );
}

function MemberChart({ group, member }: { group: string; member: Member }): JSX.Element {
  const { dark } = useTheme();
  // One span for as long as the card is open.
  const asked = useMemo(() => spanOf({ live: "1h" }, POINTS), []);
  const { data, error } = usePoll<MembersLoad>(paths.memberLoad(group, member.id, asked), LOAD_MS);
  const options = useMemo(() => {
    const color = colours("muted", "grid", "line", "fill");
    const base = common(color, null);
    return {
      ...base,
      scales: { x: { time: true }, y: { range: [0, 100] as [number, number] } },
      axes: [base.time, { ...base.values, values: (_: unknown, splits: number[]) => splits.map((value) => `${value} %`) }],
      series: [{}, { label: "load", stroke: color.line, width: 1.5, fill: color.fill, points: { show: false } }],
    };
  }, [dark]);
  const plotted = useMemo(() => (data ? ([data.at, among(data.members, member.id) ?? data.at.map(() => null)] as [number[], (number | null)[]]) : null), [data, member.id]);
  return (
    <div class="chartbox small">
      {plotted === null ? <Absent error={error} what="load" /> : <Plot options={options} data={plotted} range={[asked.from, asked.until]} height={CHART_HEIGHT} label={`Load of ${member.id} in the last hour`} />}
    </div>
  );
}

interface ConfirmProps {
  member: Member;
  group: string;
  what: "protect" | "drain";
  on: boolean;
  close: () => void;
  refresh: () => void;
}

const TITLES = { protect: ["Take the protection away", "Protect"], drain: ["Take the drain back", "Drain"] } as const;
const TEXTS = {
  protect: ["It may be scaled in again like any other.", "It is not scaled in any more, whatever the load, until the protection is taken away. Bounds and health still hold."],
  drain: ["It serves on, if it has not been terminated yet.", "Another one is launched in its place first, where max_instances has room; then it finishes its work, and is terminated."],
} as const;

function Confirm({ member, group, what, on, close, refresh }: ConfirmProps): JSX.Element {
  const title = TITLES[what][on ? 1 : 0];
  return (
    <Dialog title={`${title}: ${member.id}`} close={close}>
      <p>{TEXTS[what][on ? 1 : 0]}</p>
      {what === "drain" && on && member.protected && <Notice kind="look">It is protected: it stays until the protection is taken away.</Notice>}
      <Act text={title} danger={what === "drain" && on} done={close} act={async () => {
        await mark(group, member.id, what, on);
        refresh();
      }}>
        <button type="button" onClick={close}>Cancel</button>
      </Act>
    </Dialog>
  );
}
