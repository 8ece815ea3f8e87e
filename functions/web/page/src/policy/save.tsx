// Saving a policy: only over the text that the edit was begun from. Who comes second sees both texts and decides.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { ApiError, put } from "../api";
import { Act, Dialog } from "../dialog";
import type { Found, PolicyNow, Put } from "../types";
import { Notice } from "../ui";
import type { Change } from "./document";
import { changes as differences, parsed } from "./document";
import { KeyChanges, TextDiff } from "./diff";

export interface Base {
  text: string;
  revision: string | null;
}

/** What is edited where there is no policy yet. */
export const textOf = (policy: { text: PolicyNow["text"] }): string => policy.text ?? "{}\n";

interface Props {
  group: string;
  /** What the edit was begun from. */
  base: Base;
  text: string;
  changes: Change[];
  title?: string;
  close: () => void;
  saved: (put: Put, text: string) => void;
  /** Goes on from what somebody else has saved; `text` is what is edited then. */
  rebase?: (base: Base, text: string) => void;
}

export function SaveDialog(props: Props): JSX.Element {
  const { group, base, text, changes, title = "Save the policy", close, saved } = props;
  const [found, setFound] = useState<Found | null>(null);
  const save = async (over: string | null): Promise<void> => {
    try {
      saved(await put(group, text, over), text);
    } catch (error) {
      if (error instanceof ApiError && error.status === 409 && error.found) {
        setFound(error.found);
        throw new ApiError(409, error.code, "somebody else has saved the policy meanwhile");
      }
      throw error;
    }
  };
  if (found) return <Conflict {...props} found={found} save={save} />;
  return (
    <Dialog title={title} close={close} wide>
      <KeyChanges changes={changes} />
      <details><summary>As text</summary><TextDiff before={base.text} after={text} label="Differences of the texts" /></details>
      <Act text="Save" act={() => save(base.revision)} done={close}>
        <button type="button" onClick={close}>Keep editing</button>
      </Act>
    </Dialog>
  );
}

/** Both texts, and what differs: nothing is overwritten that nobody has looked at. */
function Conflict({ text, close, found, save, rebase }: Props & { found: Found; save: (over: string | null) => Promise<void> }): JSX.Element {
  const there = textOf(found);
  const [theirs, mine] = [parsed(there), parsed(text)];
  const go = (with_: string): void => {
    rebase?.({ text: there, revision: found.revision }, with_);
    close();
  };
  return (
    <Dialog title="Somebody else has saved meanwhile" close={close} wide>
      <Notice kind="look" live>
        Nothing was saved. The policy is not the one any more that you began with{found.version === null ? "" : `: it is version ${found.version} now`}.
      </Notice>
      <h3>From theirs to yours</h3>
      {theirs && mine && <KeyChanges changes={differences(theirs, mine)} />}
      <TextDiff before={there} after={text} label="From their text to yours" />
      <div class="both">
        <section><h3>Theirs</h3><pre tabIndex={0} role="region" aria-label="Their text">{there}</pre></section>
        <section><h3>Yours</h3><pre tabIndex={0} role="region" aria-label="Your text">{text}</pre></section>
      </div>
      <Act text="Save mine over theirs" danger act={() => save(found.revision)} done={close}>
        <button type="button" onClick={() => go(there)}>Take theirs, drop mine</button>
        <button type="button" onClick={() => go(text)}>Keep editing mine</button>
      </Act>
    </Dialog>
  );
}
