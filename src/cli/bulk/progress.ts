import type { Clock } from "../../clock.ts";

/** Where progress is shown. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  /** Characters in a line. */
  readonly columns?: number | undefined;
}

/** Shows how far a command has come: as a bar on a terminal, else as a line every 10 seconds. */
export interface Progress extends Disposable {
  /** `share`: of all there is to do, 0 to 1; undefined: nobody knows. */
  update(rows: number, share?: number): void;
  /** Writes whole lines without getting into the way of the bar. */
  say(text: string): void;
}

const REDRAW_MS = 100;
const LINE_MS = 10_000;
const BAR_CHARACTERS = 24;
/** Back to the first column, and the rest of the line is cleared. */
const CLEAR = "\r\x1b[K";

/** Gives a progress that is not shown, where rows are printed to the same terminal: what is said is said all the same. */
export const hiddenProgress = (screen: Screen): Progress => ({
  update() {},
  say: (text) => void screen.write(text),
  [Symbol.dispose]() {},
});

/** Begins to show it. What the first update tells is from an earlier run, and does not count for the rate. */
export function createProgress(screen: Screen, clock: Clock, noun: string): Progress {
  const isBar = screen.isTTY === true;
  const start = clock.monotonic();
  let first: { readonly rows: number; readonly share: number } | undefined;
  let rows = 0;
  let share: number | undefined;
  let timer: Disposable | undefined;
  let ended = false;

  function show(): void {
    timer = undefined;
    if (ended) return;
    const seconds = Math.max((clock.monotonic() - start) / 1_000, 0.001);
    const rate = (rows - (first?.rows ?? 0)) / seconds;
    const parts = [`${grouped(rows)} ${noun}`, `${grouped(Math.round(rate))}/s`];
    if (share !== undefined) {
      const done = share - (first?.share ?? 0);
      if (done > 0) parts.push(`${span(((1 - share) / done) * seconds)} left`);
      parts.unshift(isBar ? `${bar(share)} ${percent(share)}` : percent(share));
    }
    const text = parts.join("  ");
    screen.write(isBar ? `${CLEAR}${text.slice(0, (screen.columns || 80) - 1)}` : `${text}\n`);
  }

  return {
    update(newRows, newShare) {
      first ??= { rows: newRows, share: newShare ?? 0 };
      [rows, share] = [newRows, newShare];
      timer ??= clock.schedule(isBar ? REDRAW_MS : LINE_MS, show);
    },
    say(text) {
      screen.write(isBar ? `${CLEAR}${text}` : text);
      if (isBar && timer === undefined) timer = clock.schedule(REDRAW_MS, show);
    },
    [Symbol.dispose]() {
      if (ended) return;
      ended = true;
      timer?.[Symbol.dispose]();
      if (isBar) screen.write(CLEAR);
    },
  };
}

/** With a comma after each three digits. */
export const grouped = (count: number): string => count.toLocaleString("en-US");

const percent = (share: number): string => `${Math.floor(share * 100)} %`;

function bar(share: number): string {
  const full = Math.floor(share * BAR_CHARACTERS);
  return `[${"#".repeat(full)}${".".repeat(BAR_CHARACTERS - full)}]`;
}

function span(seconds: number): string {
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  return `${minutes}:${String(whole % 60).padStart(2, "0")}`;
}
