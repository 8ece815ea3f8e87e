// One decision, whole: what it saw, the size after each stage and the rule that spoke there, what would change it.

import type { ComponentChildren, JSX } from "preact";

import { paths } from "./api";
import { Dialog } from "./dialog";
import { among, count, label, percent, plural, signed, words } from "./format";
import { usePoll } from "./poll";
import type { Explained, Report, Stage } from "./types";
import { Absent, Badge, Rule, Stale, Time } from "./ui";

/** A decision that is repeated gets a later end: it is read again this often while it is open. */
const EVERY_MS = 15_000;

const MEANING: Record<string, string> = {
  raw: "the rule, on what answered",
  filled: "with missing and warming members assumed to the safe side",
  signals: "the largest of what rule and signals ask for",
  stabilised: "after the stabilisation window",
  limited: "after cooldowns, projection and limits",
  scheduled: "what a window of the schedule has set",
  bounded: "after min and max",
};

export function DecisionDialog({ group, id, close }: { group: string; id: string; close: () => void }): JSX.Element {
  const { data, error } = usePoll<Explained>(paths.decision(group, id), EVERY_MS);
  return (
    <Dialog title="Why this size" close={close} side>
      {data && <Stale error={error} what="decision" />}
      {data ? <Whole decision={data} /> : <Absent error={error} what="decision" tall />}
    </Dialog>
  );
}

function Whole({ decision }: { decision: Explained }): JSX.Element {
  const { report, explained } = decision;
  const { before, after } = report.desired;
  const stages = explained.stages.length > 0 ? explained.stages : report.stages;
  return (
    <article class="decision">
      <p class="headline">{explained.headline || report.headline}</p>
      <p class="muted">
        <Time at={decision.at} />{decision.count > 1 && <>, the same {plural(decision.count, "time")} since <Time at={decision.since} /></>}
      </p>
      <p class="chips">
        <Badge>{before === after ? `stays at ${count(after)}` : `${count(before)} → ${count(after)}`}</Badge>
        <Badge kind={report.mode === "active" ? "" : "look"}>{words(report.mode)}</Badge>
        {report.policy !== null && <Badge>policy v{report.policy}</Badge>}
        <Badge>min {count(report.bounds[0])}, max {count(report.bounds[1])}</Badge>
        {report.window && <Badge>window {report.window.name}</Badge>}
      </p>
      <section aria-labelledby="stages">
        <h3 id="stages">Stage by stage</h3>
        <Stages stages={stages} report={report} />
        <p>Bound by rule <Rule id={report.rule} />.</p>
      </section>
      <Texts title="In words" texts={explained.sentences} />
      <Texts title="What would change it" texts={explained.would} />
      <Remarks title="It waits for" remarks={report.waits} />
      <Remarks title="What else was noticed" remarks={report.remarks} />
      <Texts title="What it did" texts={report.actions} />
      <Texts title="What it did not do, because of the mode" texts={report.withheld} />
      <Saw report={report} />
    </article>
  );
}

function Stages({ stages, report }: { stages: Stage[]; report: Report }): JSX.Element {
  // The last stage at which the rule that bound it spoke.
  const binding = stages.findLastIndex((stage) => stage.rule === report.rule);
  if (stages.length === 0) return <p class="muted">No load was looked at: desired stays at {count(report.desired.after)}.</p>;
  return (
    <ol class="stages">
      <li class="stage"><b class="size">{count(report.desired.before)}</b><div><span class="name">before</span></div></li>
      {stages.map((stage, i) => {
        const from = stages[i - 1]?.desired ?? report.desired.before;
        return (
          <li key={stage.stage} class={`stage${i === binding ? " binding" : ""}${stage.desired === from ? "" : " changes"}`}>
            <b class="size">{count(stage.desired)}</b>
            <div>
              <span class="name">{words(stage.stage)}</span> <Rule id={stage.rule} />
              {stage.desired !== from && <span class="change">{signed(stage.desired - from, count)}</span>}
              {i === binding && <span class="bound">this bound it</span>}
              <p>{stage.text || among(MEANING, stage.stage)}</p>
              {stage.text && <p class="muted">{label(among(MEANING, stage.stage) ?? "")}</p>}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

function Part({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return <section><h3>{title}</h3>{children}</section>;
}

function Texts({ title, texts }: { title: string; texts: string[] }): JSX.Element | null {
  if (texts.length === 0) return null;
  return <Part title={title}><ul>{texts.map((text) => <li key={text}>{text}</li>)}</ul></Part>;
}

function Remarks({ title, remarks }: { title: string; remarks: { rule: string; text: string }[] }): JSX.Element | null {
  if (remarks.length === 0) return null;
  return <Part title={title}><ul>{remarks.map((remark) => <li key={remark.rule + remark.text}>{remark.text} <Rule id={remark.rule} /></li>)}</ul></Part>;
}

function Saw({ report }: { report: Report }): JSX.Element {
  const { counts, load } = report;
  const rows: [string, string][] = [
    ["In service", count(counts.in_service)], ["Warming", count(counts.warming)], ["Pending", count(counts.pending)], ["Suspect", count(counts.suspect)],
    ["Draining", count(counts.draining)], ["Terminating", count(counts.terminating)], ["Actual", count(counts.actual)], ["Serving", count(counts.serving)],
    ["Missing", count(counts.missing)], ["Mean load", percent(load?.mean)], ["Load at most", percent(load?.at_most)], ["Load at least", percent(load?.at_least)],
  ];
  return (
    <Part title="What it saw">
      <dl class="saw">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      {report.slot !== null && <p class="muted">On the sweep of <Time at={report.slot} />.</p>}
    </Part>
  );
}
