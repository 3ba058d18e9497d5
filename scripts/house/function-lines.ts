import { parseSync, Visitor } from "rolldown/utils";

/** The most lines a function has, those of the functions inside it not counted: what is closed over reads like a class. */
const FUNCTION_LINES = 40;
/** The most lines of a service's method: message in, use case, message out. */
export const SERVICE_METHOD_LINES = 15;

interface Span {
  readonly start: number;
  readonly end: number;
}

/** The lines at which a function begins that is over its bound. */
export function longFunctions(text: string, path: string): number[] {
  return measureFunctions(text, path).flatMap(({ first, own }) => (own > FUNCTION_LINES ? [first] : []));
}

/** The lines at which a method begins that is over a service's bound: what stands inside the exported factory. */
export function longServiceMethods(text: string, path: string): number[] {
  const methods = measureFunctions(text, path).filter(({ depth }) => depth > 0);
  return methods.flatMap(({ first, whole }) => (whole > SERVICE_METHOD_LINES ? [first] : []));
}

interface FunctionLines {
  /** The line it begins at, from 1. */
  readonly first: number;
  /** How many lines it has, and how many without those of the functions inside it. */
  readonly whole: number;
  readonly own: number;
  /** How many functions it stands in. */
  readonly depth: number;
}

function measureFunctions(text: string, path: string): FunctionLines[] {
  const lineOf = (offset: number) => text.slice(0, offset).split("\n").length;
  const open: { node: Span; inner: number }[] = [];
  const found: FunctionLines[] = [];
  const enter = (node: Span) => open.push({ node, inner: 0 });
  const leave = () => {
    const { node, inner } = open.pop() as { node: Span; inner: number };
    const first = lineOf(node.start);
    const whole = lineOf(node.end) - first + 1;
    found.push({ first, whole, own: whole - inner, depth: open.length });
    const outer = open.at(-1);
    // The first and the last line of a function are shared with what stands around it.
    if (outer) outer.inner += Math.max(whole - 1, 0);
  };
  new Visitor({
    FunctionDeclaration: enter,
    "FunctionDeclaration:exit": leave,
    FunctionExpression: enter,
    "FunctionExpression:exit": leave,
    ArrowFunctionExpression: enter,
    "ArrowFunctionExpression:exit": leave,
  }).visit(parseSync(path, text, { lang: "ts" }).program);
  return found.sort((one, other) => one.first - other.first);
}
