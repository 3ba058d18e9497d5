import { expect, test } from "vitest";
import { AnswerHeaders, addMissing, headerList, RequestHeaders } from "../../src/rpc/light-headers.ts";
import { createRandom } from "../support/random.ts";

const NAMES = ["x-one", "X-One", "x_two", "__proto__", "constructor", "set-cookie", "content-type", "b ad", "", "ü"];
const VALUES = ["a", " a ", "", "a, b", "ü", "\u{20ac}", "a\nb", "\0", "x".repeat(300), 5 as unknown as string];

/** What becomes of one thing that is done to headers: what it gives, or what kind of error. */
function attempt(what: () => unknown): unknown {
  try {
    return what();
  } catch (error) {
    return (error as Error).constructor.name;
  }
}

type Step = (headers: Headers) => unknown;

/** Something that can be done to headers. */
function stepOf(random: (below: number) => number): Step {
  const name = NAMES[random(NAMES.length)] ?? "";
  const value = VALUES[random(VALUES.length)] ?? "";
  const steps: Step[] = [
    (headers) => headers.get(name),
    (headers) => headers.get(name),
    (headers) => headers.has(name),
    (headers) => headers.set(name, value),
    (headers) => headers.set(name, value),
    (headers) => headers.append(name, value),
    (headers) => headers.delete(name),
    (headers) => headers.getSetCookie(),
    (headers) => [...headers.keys()],
    (headers) => [...headers.values()],
    (headers) => [...headers.entries()],
  ];
  return steps[random(steps.length)] as Step;
}

const contentOf = (headers: Headers) => {
  const seen: [string, string][] = [];
  headers.forEach((value, name) => seen.push([name, value]));
  return seen;
};

test.for([1, 2, 3, 4])(
  "headers of an answer do what those of the standard do, whatever is done to them (seed %i)",
  (seed) => {
    const random = createRandom(seed);
    for (let run = 0; run < 500; run++) {
      const light = new AnswerHeaders(["content-type", "text/plain"]);
      const standard = new Headers({ "content-type": "text/plain" });
      const steps = random(6);
      for (let n = 0; n < steps; n++) {
        const step = stepOf(random);
        expect(attempt(() => step(light))).toEqual(attempt(() => step(standard)));
      }
      const list = headerList(light);
      const cookies = list.filter((_, at) => list[at - 1] === "set-cookie" && at % 2 === 1);
      expect(cookies).toEqual(standard.getSetCookie());
      expect(contentOf(light)).toEqual(contentOf(standard));
      expect(contentOf(new Headers(light))).toEqual(contentOf(new Headers([...standard])));
      expect([...light]).toEqual([...standard]);
    }
  },
);

test.for([5, 6])(
  "headers of a request do what those of the standard do, whatever is done to them (seed %i)",
  (seed) => {
    const random = createRandom(seed);
    const read = { ":path": "/", "x-one": "1", "content-type": "a, b", "set-cookie": ["a=1", "b=2"], "x-blank": " b " };
    for (let run = 0; run < 500; run++) {
      const light = new RequestHeaders(read);
      const { ":path": _, "set-cookie": cookies, ...rest } = read;
      const standard = new Headers(rest);
      for (const cookie of cookies) standard.append("set-cookie", cookie);
      const steps = random(6);
      for (let n = 0; n < steps; n++) {
        const step = stepOf(random);
        expect(attempt(() => step(light))).toEqual(attempt(() => step(standard)));
      }
      expect(light.get("x-blank")).toBe("b");
      expect(light.get("set-cookie")).toBe(standard.get("set-cookie"));
      expect(attempt(() => light.get(":path"))).toBe("TypeError");
      expect(contentOf(light)).toEqual(contentOf(standard));
    }
    expect(read).toEqual({ ...read, "x-one": "1" });
  },
);

test("what is added to the headers of an answer replaces nothing", () => {
  const list = ["vary", "accept"];
  addMissing(list, { vary: "Origin", "x-more": ["a", "b"] });
  expect(list).toEqual(["vary", "accept", "x-more", "a", "x-more", "b"]);
});
