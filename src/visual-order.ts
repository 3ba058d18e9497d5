/** The classes of UAX #9 that text without controls, brackets and other numbers than ASCII's falls into. */
type BidiClass = "L" | "R" | "AL" | "EN" | "AN" | "ES" | "CS" | "ON";

/** A letter or sign with the marks on it, which stand where it stands (UAX #9, W1 and L3). */
const CLUSTER = /\P{M}\p{M}*|\p{M}+/gu;
const HEBREW = /^\p{Script=Hebrew}/u;
const ARABIC = /^[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;
const FROM_RIGHT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;

function classOf(cluster: string): BidiClass {
  if (/^[0-9]/.test(cluster)) return "EN";
  // With a mark on it a sign counts as two (W1), which nothing joins.
  if (/^[+-]$/.test(cluster)) return "ES";
  if (/^[.,:/]$/.test(cluster)) return "CS";
  if (HEBREW.test(cluster)) return "R";
  if (ARABIC.test(cluster)) return "AL";
  return /^[\p{L}\p{M}]/u.test(cluster) ? "L" : "ON";
}

const isNumber = (it: BidiClass | undefined) => it === "EN" || it === "AN";

/** W2 to W7 of UAX #9. The last strong class before the text is that of the paragraph, L. */
function resolveWeak(given: readonly BidiClass[]): BidiClass[] {
  let strong: BidiClass = "L";
  const typed = given.map((it): BidiClass => {
    if (it === "L" || it === "R" || it === "AL") strong = it;
    return it === "EN" && strong === "AL" ? "AN" : it;
  });
  const joined = typed.map((it, i): BidiClass => {
    const [before, after] = [typed[i - 1], typed[i + 1]];
    if (it !== "ES" && it !== "CS") return it;
    return before && before === after && (before === "EN" || (before === "AN" && it === "CS")) ? before : "ON";
  });
  strong = "L";
  return joined.map((it) => {
    if (it === "L" || it === "R" || it === "AL") strong = it;
    return it === "EN" && strong === "L" ? "L" : it;
  });
}

/** N1 and N2: what is neutral goes with its neighbours if they agree, else with the paragraph. Then I1: the levels. */
function levelsOf(classes: readonly BidiClass[]): number[] {
  const sideOf = (it: BidiClass | undefined) => (it === undefined || it === "L" ? "L" : "R");
  return classes.map((it, i) => {
    if (it !== "ON") return it === "L" ? 0 : isNumber(it) ? 2 : 1;
    const before = classes.slice(0, i).findLast((other) => other !== "ON");
    const after = classes.slice(i).find((other) => other !== "ON");
    return sideOf(before) === "R" && sideOf(after) === "R" ? 1 : 0;
  });
}

/**
 * The text as it is seen from left to right in a paragraph that runs so (UAX #9), since what is written from the right may look the same
 * although it is written in another order. For text without bidirectional controls and brackets, which logins cannot have.
 */
export function visualOrder(text: string): string {
  if (!FROM_RIGHT.test(text)) return text;
  const clusters = text.match(CLUSTER) ?? [];
  const levels = levelsOf(resolveWeak(clusters.map(classOf)));
  const shown = clusters.map((cluster, i) => ({ cluster, level: levels[i] ?? 0 }));
  // L2: from the highest level down, whatever is at it or above is turned round.
  for (const level of [2, 1]) {
    for (let from = 0; from < shown.length; from++) {
      let to = from;
      while ((shown[to]?.level ?? 0) >= level) to++;
      if (to > from) shown.splice(from, to - from, ...shown.slice(from, to).toReversed());
      from = Math.max(from, to);
    }
  }
  return shown.map(({ cluster }) => cluster).join("");
}
