// What time it is on the server. Needed before anything is drawn: no Preact here.

/** The header `Date` has whole seconds, so a smaller difference than this is none. */
const UNSURE_MS = 1_500;

let offsetMs = 0;

/** Learns from an answer's header how far the server's clock is ahead of ours. */
export function noteDate(header: string | null, sent: number, received: number): void {
  const theirs = header === null ? NaN : Date.parse(header);
  if (Number.isNaN(theirs)) return;
  const apart = theirs + 500 - (sent + received) / 2;
  offsetMs = Math.abs(apart) < UNSURE_MS ? 0 : apart;
}

/** The server's time, in milliseconds since 1970. */
export const serverNow = (): number => Date.now() + offsetMs;
