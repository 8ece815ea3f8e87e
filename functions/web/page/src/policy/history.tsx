// The versions that were in force, what each changed, and the way back to one of them.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { paths } from "../api";
import { plural } from "../format";
import { usePoll } from "../poll";
import type { PolicyHistory, PolicyNow, PolicyVersion } from "../types";
import { Absent, Badge, Notice, Stale, Time } from "../ui";
import { KeyChanges, TextDiff } from "./diff";
import { changes, parsed } from "./document";
import { SaveDialog, textOf } from "./save";

const EVERY_MS = 15_000;

export function HistoryPanel({ group, policy, refresh }: { group: string; policy: PolicyNow; refresh: () => void }): JSX.Element {
  const { data, error, refresh: again } = usePoll<PolicyHistory>(paths.history(group), EVERY_MS);
  const [back, setBack] = useState<PolicyVersion | null>(null);
  if (data === null) return <Absent error={error} what="policy's versions" tall />;
  const current = policy.in_force?.version ?? policy.version;
  return (
    <>
      <Stale error={error} what="list of versions" />
      {data.refusals.length > 0 && (
        <section class="panel"><h2>Refused edits</h2>
          <ul class="refusals">{data.refusals.map((refusal) => <li key={refusal.at}><span class="when"><Time at={refusal.at} /></span> {refusal.reason}</li>)}</ul>
        </section>
      )}
      <section class="panel"><h2>{plural(data.versions.length, "version")}</h2>
        <ol class="versions">
          {data.versions.map((version, i) => (
            <li key={version.version}>
              <div class="version-head">
                <b>Version {version.version}</b> {version.version === current && <Badge kind="good">in force</Badge>} <span class="muted">since <Time at={version.since} /></span>
                <span class="grow" />
                {version.version !== current && version.text !== policy.text && <button type="button" onClick={() => setBack(version)}>Return to it…</button>}
              </div>
              {i === data.versions.length - 1 && version.changes.length === 0 ? <p class="muted">The oldest that is recorded.</p> : <KeyChanges changes={version.changes} />}
              <details><summary>{i === data.versions.length - 1 ? "Its text" : "Its text, beside the one before"}</summary><TextDiff before={data.versions[i + 1]?.text ?? ""} after={version.text} label={`Version ${version.version} beside the one before`} /></details>
            </li>
          ))}
        </ol>
        {data.versions.length === 0 && <Notice kind="info">No version is recorded yet.</Notice>}
      </section>
      {back && (
        <SaveDialog group={group} title={`Return to version ${back.version}`} base={{ text: textOf(policy), revision: policy.revision }} text={back.text}
          changes={changes(parsed(textOf(policy)) ?? {}, parsed(back.text) ?? {})} close={() => setBack(null)} saved={() => {
            refresh();
            again();
          }} />
      )}
    </>
  );
}
