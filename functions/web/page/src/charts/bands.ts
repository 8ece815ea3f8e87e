// What is drawn behind the lines: the spans of load beyond the thresholds, and the times in which nobody could be believed.

import type uPlot from "uplot";

interface Colours {
  panel: string;
  over: string;
  under: string;
  bound: string;
  muted: string;
}

/** Shades what lies above `high` and below `low`, and writes at the lines what happens there. */
export function thresholdBands(low: number | null, high: number | null, color: Colours): uPlot.Plugin {
  const draw = (u: uPlot): void => {
    const { ctx, bbox } = u;
    const bottom = bbox.top + bbox.height;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const y = (value: number): number => Math.round(u.valToPos(value, "y", true));
    if (high !== null) {
      ctx.fillStyle = color.over;
      ctx.fillRect(bbox.left, bbox.top, bbox.width, y(high) - bbox.top);
    }
    if (low !== null) {
      ctx.fillStyle = color.under;
      ctx.fillRect(bbox.left, y(low), bbox.width, bottom - y(low));
    }
    ctx.restore();
  };
  const lines = (u: uPlot): void => {
    const { ctx, bbox } = u;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = color.bound;
    ctx.fillStyle = color.muted;
    ctx.lineWidth = scale;
    ctx.font = `${11 * scale}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    for (const [value, text, above] of [[high, "out above", true], [low, "in below", false]] as const) {
      if (value === null) continue;
      const y = Math.round(u.valToPos(value, "y", true)) + 0.5;
      ctx.setLineDash([5 * scale, 4 * scale]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      const [right, base] = [bbox.left + bbox.width - 6 * scale, above ? y - 5 * scale : y + 13 * scale];
      const said = `${text} ${value} %`;
      // Legible over whatever lines pass there.
      const width = ctx.measureText(said).width + 6 * scale;
      ctx.globalAlpha = 0.8;
      ctx.fillStyle = color.panel;
      ctx.fillRect(right - width + 3 * scale, base - 10 * scale, width, 13 * scale);
      ctx.globalAlpha = 1;
      ctx.fillStyle = color.muted;
      ctx.fillText(said, right, base);
    }
    ctx.restore();
  };
  return { hooks: { drawClear: draw, draw: lines } };
}

/** Shades the times at which the series `index` is 1: sweeps that could not be trusted. */
export function blindSpans(index: number, color: string): uPlot.Plugin {
  const draw = (u: uPlot): void => {
    const [at, blind] = [u.data[0], u.data[index]];
    if (!blind) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = color;
    for (let i = 0; i < at.length; i += 1) {
      if (blind[i] !== 1) continue;
      const left = u.valToPos(at[i] ?? 0, "x", true);
      const right = u.valToPos(at[i + 1] ?? at[i] ?? 0, "x", true);
      ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
    }
    ctx.restore();
  };
  return { hooks: { drawClear: draw } };
}
