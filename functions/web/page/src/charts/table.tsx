// What the charts show, as a table: for whoever cannot see them, and for whoever wants the numbers.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { count, percent } from "../format";
import type { Load } from "../types";
import { Time } from "../ui";
import { lastAt } from "./load";

/** A table of more rows is no longer read. */
const ROWS = 60;

export function LoadTable({ load }: { load: Load }): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <details class="astable" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The charts as a table</summary>
      {open && <Rows load={load} />}
    </details>
  );
}

function Rows({ load }: { load: Load }): JSX.Element {
  const each = Math.max(1, Math.ceil(load.points.length / ROWS));
  const points = load.points.filter((_, i) => (load.points.length - 1 - i) % each === 0).reverse();
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Load and size over time">
      <table class="plain">
        <thead><tr><th scope="col">Time</th><th scope="col">Mean</th><th scope="col">p90</th><th scope="col">Answered</th><th scope="col">Desired</th><th scope="col">Actual</th><th scope="col">Decision</th></tr></thead>
        <tbody>
          {points.map((point, i) => {
            const size = lastAt(load.sizes, point.at);
            const from = points[i + 1]?.at ?? load.from;
            const marks = load.marks.filter((mark) => mark.at > from && mark.at <= point.at);
            return (
              <tr key={point.at}>
                <th scope="row"><Time at={point.at} /></th><td>{percent(point.mean)}</td><td>{percent(point.p90)}</td>
                <td>{count(point.answered)} of {count(point.members)}{point.blind && ", not trusted"}</td>
                <td>{size ? count(size.desired) : "–"}</td><td>{size ? count(size.actual) : "–"}</td>
                <td class="text">{marks.map((mark) => mark.headline).join("; ")}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
