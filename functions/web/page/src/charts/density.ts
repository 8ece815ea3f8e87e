// Many lines as a picture of how many of them pass through each pixel.

/**
 * Draws `lines`, whose points stand at the pixels `x`, into a canvas of its own. Every column of a line counts once in each
 * row that it passes, so the cost is lines times width, whatever the lines do.
 */
export function density(lines: (number | null)[][], x: number[], width: number, height: number, color: string): HTMLCanvasElement {
  const [w, h] = [Math.max(1, Math.round(width)), Math.max(1, Math.round(height))];
  const hits = new Uint16Array(w * h);
  for (const line of lines) count(line, x, hits, w, h);
  const canvas = document.createElement("canvas");
  canvas.width = w;
  canvas.height = h;
  const ctx = canvas.getContext("2d");
  if (ctx) ctx.putImageData(painted(hits, w, h, color), 0, 0);
  return canvas;
}

function count(line: (number | null)[], x: number[], hits: Uint16Array, w: number, h: number): void {
  const row = (value: number): number => Math.min(h - 1, Math.max(0, Math.round((1 - value / 100) * (h - 1))));
  for (let i = 1; i < line.length; i += 1) {
    const [a, b] = [line[i - 1], line[i]];
    if (a === null || a === undefined || b === null || b === undefined) continue;
    const [left, right] = [x[i - 1] ?? 0, x[i] ?? 0];
    let before = row(a);
    for (let column = Math.max(0, Math.ceil(left)); column < Math.min(w, right); column += 1) {
      const now = row(a + ((b - a) * (column + 1 - left)) / Math.max(1, right - left));
      const [top, bottom] = before < now ? [before, now] : [now, before];
      for (let y = top; y <= bottom; y += 1) hits[y * w + column] = (hits[y * w + column] ?? 0) + 1;
      before = now;
    }
  }
}

/** The more lines, the denser, by the logarithm: a single one is still seen beside hundreds. */
function painted(hits: Uint16Array, w: number, h: number, color: string): ImageData {
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map(Number);
  const most = hits.reduce((a, b) => Math.max(a, b), 1);
  const alpha = new Uint8ClampedArray(most + 1);
  for (let n = 1; n <= most; n += 1) alpha[n] = 38 + (200 * Math.log1p(n)) / Math.log1p(most);
  const image = new ImageData(w, h);
  const pixels = new Uint32Array(image.data.buffer);
  const rgb = (blue << 16) | (green << 8) | red;
  for (let i = 0; i < hits.length; i += 1) {
    const n = hits[i] ?? 0;
    if (n > 0) pixels[i] = ((alpha[n] ?? 0) << 24) | rgb;
  }
  return image;
}
