// Pause and resume: the button that stops everything, and the banner that says that somebody has.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { pause, resume } from "./api";
import { serverNow } from "./clock";
import { Act, Dialog } from "./dialog";
import { inputTime, local, span } from "./format";
import { useTold } from "./tick";
import type { Now } from "./types";
import { Icon, Left, Time } from "./ui";

/** What has been asked for of a group and is not in force yet: an edit of the policy is read at the next decision. */
let asked: { group: string; paused: boolean; over: number | null } | null = null;

const ask = (now: Now, paused: boolean): void => void (asked = { group: now.group, paused, over: now.policy.version });

/** Whether it has been asked that the group be paused, or not any more, and no newer policy is in force since. */
const waiting = (now: Now, paused: boolean): boolean =>
  asked !== null && asked.group === now.group && asked.paused === paused && asked.over === now.policy.version && (now.mode === "paused") !== paused;

export function PauseButton({ now, refresh }: { now: Now; refresh: () => void }): JSX.Element | null {
  const [open, setOpen] = useState(false);
  if (now.mode === "paused") return null;
  return (
    <>
      <button type="button" class="pause" onClick={() => setOpen(true)}>Pause…</button>
      {open && <PauseDialog now={now} close={() => setOpen(false)} refresh={refresh} />}
    </>
  );
}

/** A decision comes with each sweep. */
const Soon = ({ now, what }: { now: Now; what: string }): JSX.Element => (
  <div class="paused" role="status">
    <Icon name="look" /><span><b>{what} is asked for</b> and holds from the next decision on{now.sweep && <>: one follows each sweep, every {span(now.sweep.period_ms)}</>}.</span>
  </div>
);

type End = "open" | "15" | "60" | "240" | "at";
const ENDS: [End, string][] = [["open", "Until somebody resumes it"], ["15", "For 15 minutes"], ["60", "For 1 hour"], ["240", "For 4 hours"], ["at", "Until a time"]];

function PauseDialog({ now, close, refresh }: { now: Now; close: () => void; refresh: () => void }): JSX.Element {
  const [reason, setReason] = useState("");
  const [end, setEnd] = useState<End>("open");
  const [at, setAt] = useState(() => inputTime(serverNow() + 3_600_000));
  const given = Date.parse(at);
  const until = end === "open" ? null : end === "at" ? given : serverNow() + Number(end) * 60_000;
  const past = end === "at" && !(given > serverNow());
  return (
    <Dialog title={`Pause ${now.group}`} close={close}>
      <p>While a group is paused it is swept and decided on, but nothing is launched, drained or terminated, whatever its load.</p>
      <label class="stacked">Reason
        <input type="text" value={reason} maxLength={200} required placeholder="who, and why" onInput={(event) => setReason(event.currentTarget.value)} />
      </label>
      <fieldset class="options">
        <legend>How long</legend>
        {ENDS.map(([value, text]) => (
          <label key={value}><input type="radio" name="end" checked={end === value} onChange={() => setEnd(value)} /> {text}</label>
        ))}
        <input type="datetime-local" aria-label="Time at which it ends" value={at} disabled={end !== "at"} onInput={(event) => setAt(event.currentTarget.value)} />
        {past && <p class="error">That time has passed.</p>}
      </fieldset>
      <Act text="Pause the group" danger disabled={reason.trim() === "" || past} done={close} act={async () => {
        await pause(now.group, reason.trim(), until);
        ask(now, true);
        refresh();
      }}>
        <button type="button" onClick={close}>Cancel</button>
      </Act>
    </Dialog>
  );
}

/** Says that the group is paused, why, and until when. */
export function PauseBanner({ now, refresh }: { now: Now; refresh: () => void }): JSX.Element | null {
  const [open, setOpen] = useState(false);
  if (waiting(now, true)) return <Soon now={now} what="A pause" />;
  if (waiting(now, false)) return <Soon now={now} what="The end of the pause" />;
  if (now.mode !== "paused" && now.pause === null) return null;
  const until = now.pause?.until ?? null;
  return (
    <>
    <div class="paused" role="status">
      <Icon name="paused" />
      <span>
        <b>Paused</b> {until === null ? "until somebody resumes it" : <>until <Time at={until} />, <Left until={until} /></>}: {now.pause?.reason || "the policy's mode says so"}
      </span>
      <button type="button" onClick={() => setOpen(true)}>Resume…</button>
    </div>
    {open && <ResumeDialog now={now} close={() => setOpen(false)} refresh={refresh} />}
    </>
  );
}

function ResumeDialog({ now, close, refresh }: { now: Now; close: () => void; refresh: () => void }): JSX.Element {
  const until = now.pause?.until ?? null;
  const left = useTold((at) => (until !== null && until > at ? ` Without this the pause ends by itself at ${local(until, Date.now())}, in ${span(until - at)}.` : ""));
  return (
    <Dialog title={`Resume ${now.group}`} close={close}>
      <p>
        The next sweep decides again, and what it decides is done.
        {left}
      </p>
      {now.decision && now.decision.report.withheld.length > 0 && (
        <><p>What the pause has kept from being done:</p><ul>{now.decision.report.withheld.map((text) => <li key={text}>{text}</li>)}</ul></>
      )}
      <Act text="Resume the group" done={close} act={async () => {
        await resume(now.group);
        ask(now, false);
        refresh();
      }}>
        <button type="button" onClick={close}>Cancel</button>
      </Act>
    </Dialog>
  );
}
