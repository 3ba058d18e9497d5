import { readFileSync, writeFileSync } from "node:fs";

/** What a login can hold once it is decomposed for compatibility: nothing else is ever looked up. */
const IN_LOGINS = /^[\p{L}\p{M}\p{N}._@+-]$/u;
const TABLE = "src/confusables.json";

/** The confusables of UTS #39 as the Rust crate unicode-security has them: `('\u{6d}', &['\u{72}', '\u{6e}'])`. */
const ENTRY = /\('\\u\{([0-9a-f]+)\}',\s*&\[([^\]]+)\]\)/g;
const VERSION = /UNICODE_VERSION: \(u64, u64, u64\) = \((\d+), (\d+), (\d+)\)/;

const ofHex = (hex: string) => String.fromCodePoint(Number.parseInt(hex, 16));
const escaped = (json: string) =>
  json.replace(/[^\n -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

function tableOf(rust: string) {
  const table = rust.slice(rust.indexOf("const CONFUSABLES: &'static [(char, &'static [char])]"));
  const all = [...table.matchAll(ENTRY)].map(([, source = "", prototype = ""]) => [
    ofHex(source),
    [...prototype.matchAll(/\{([0-9a-f]+)\}/g)].map(([, hex = ""]) => ofHex(hex)).join(""),
  ]);
  const prototypes = all.filter(([source = ""]) => source.normalize("NFKD") === source && IN_LOGINS.test(source));
  const version = VERSION.exec(rust)?.slice(1).join(".");
  if (!version || all.length < 6_000) throw new Error("This is not src/tables.rs of the crate unicode-security");
  const data = "Prototypes of UTS #39 for what logins hold; © Unicode, Inc., Unicode License V3";
  return { data, unicode: version, prototypes: Object.fromEntries(prototypes) };
}

const [path] = process.argv.slice(2);
if (!path) throw new Error("npm run generate:confusables -- <src/tables.rs of the Rust crate unicode-security>");
const table = tableOf(readFileSync(path, "utf8"));
writeFileSync(TABLE, `${escaped(JSON.stringify(table, undefined, 2))}\n`);
console.log(`${TABLE}: ${Object.keys(table.prototypes).length} characters of Unicode ${table.unicode}`);
