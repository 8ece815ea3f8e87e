// Dialogs: the browser's own, which keeps the focus, closes at Escape and hides the rest from screen readers.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

import { ApiError } from "./api";
import { Notice } from "./ui";

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
  /** Stands at the side and is as high as the window, instead of in the middle. */
  side?: boolean;
  wide?: boolean;
}

export function Dialog({ title, close, children, side = false, wide = false }: DialogProps): JSX.Element {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const gone = useRef(false);
  useEffect(() => {
    const dialog = ref.current;
    gone.current = false;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      gone.current = true;
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const outside = (event: MouseEvent): void => {
    if (event.target === ref.current) close();
  };
  const cancelled = (event: Event): void => {
    event.preventDefault();
    close();
  };
  // A browser may close it without asking, when Escape is pressed twice.
  const closed = (event: Event): void => {
    if (!gone.current && event.target === ref.current) close();
  };
  return (
    <dialog ref={ref} class={`${side ? "side" : "middle"}${wide ? " wide" : ""}`} aria-labelledby={heading} onCancel={cancelled} onClose={closed} onMouseDown={outside}>
      <div class="dialog">
        <header>
          <h2 id={heading}>{title}</h2>
          <button type="button" class="quiet close" aria-label="Close" onClick={close}>✕</button>
        </header>
        <div class="dialog-body">{children}</div>
      </div>
    </dialog>
  );
}

interface ActProps {
  /** What the button says that does it. */
  text: string;
  act: () => Promise<unknown>;
  done: () => void;
  danger?: boolean;
  disabled?: boolean;
  children?: ComponentChildren;
}

/** The foot of a dialog that changes something: does it once, says why it could not be done, and closes when it was. */
export function Act({ text, act, done, danger = false, disabled = false, children }: ActProps): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<string | null>(null);
  const run = async (): Promise<void> => {
    setBusy(true);
    setFailed(null);
    try {
      await act();
      done();
    } catch (error) {
      setFailed(error instanceof ApiError ? told(error) : String(error));
      setBusy(false);
    }
  };
  return (
    <>
      {failed !== null && <Notice kind="bad" live>{failed}</Notice>}
      <footer>
        {children}
        <button type="button" class={danger ? "danger" : "primary"} disabled={busy || disabled} onClick={() => void run()}>
          {busy ? "Working …" : text}
        </button>
      </footer>
    </>
  );
}

const told = (error: ApiError): string => {
  const problems = error.problems.map((problem) => `${problem.key} ${problem.message}`.trim());
  return [`Not done: ${error.message}`, ...problems].join("; ");
};
