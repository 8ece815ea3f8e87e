// A small line of a member's latest loads. A gap is a sweep that it did not answer.

import type { JSX } from "preact";

const WIDTH = 90;
const HEIGHT = 22;

export function Spark({ values, hot = false }: { values: (number | null)[]; hot?: boolean }): JSX.Element {
  return (
    <svg class={hot ? "spark spark-hot" : "spark"} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true" preserveAspectRatio="none">
      <path d={drawn(values)} />
    </svg>
  );
}

function drawn(values: (number | null)[]): string {
  const step = WIDTH / Math.max(1, values.length - 1);
  let path = "";
  let pen = "M";
  values.forEach((value, i) => {
    if (value === null) {
      pen = "M";
      return;
    }
    path += `${pen}${(i * step).toFixed(1)} ${(HEIGHT - 1.5 - (Math.min(100, Math.max(0, value)) / 100) * (HEIGHT - 3)).toFixed(1)}`;
    pen = "L";
  });
  return path;
}
