import confusables from "./confusables.json" with { type: "json" };
import { visualOrder } from "./visual-order.ts";

const PROTOTYPES: ReadonlyMap<string, string> = new Map(Object.entries(confusables.prototypes));

/** The most characters of a skeleton that are compared: an index takes no longer ones. */
const MOST_CHARACTERS = 255;

const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
/** An i that begins a word, where most people write a capital. */
const INITIAL_I = /(?<![\p{L}\p{M}])i/gu;

/** `internalSkeleton` of UTS #39 §4: the prototype of every character. */
function prototyped(text: string): string {
  const visible = text.normalize("NFD").replace(INVISIBLE, "");
  return Array.from(visible, (character) => PROTOTYPES.get(character) ?? character)
    .join("")
    .normalize("NFD");
}

/**
 * What two names that look alike have in common: `bidiSkeleton` of UTS #39 §4, as it is seen from left to right, without regard to case.
 * Of case the form that was written counts: `I` looks like `l`, and `i` does not unless it begins a word. At most 255 characters, for
 * no one to see. Databases keep it, so another table of confusables needs a migration that makes all of them anew.
 */
export function skeletonOf(name: string): string {
  const shown = visualOrder(name.normalize("NFKC")).replace(INITIAL_I, "I");
  let key = prototyped(shown);
  // The small form of a prototype may have another prototype, and that may be an i.
  for (let before = ""; before !== key; ) {
    before = key;
    key = prototyped(key.toLowerCase()).replace(INITIAL_I, "l");
  }
  return Array.from(key).slice(0, MOST_CHARACTERS).join("");
}
