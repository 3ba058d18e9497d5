import { createHash } from "node:crypto";

const STYLE =
  "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:20vh auto 0;padding:0 1rem;text-align:center}" +
  "button{font:inherit;padding:.5rem 1.5rem}:root{color-scheme:light dark}";

/** The headers of every page: it runs nothing, loads nothing, is framed by nobody, and tells nobody of its address. */
export const PAGE_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": [
    "default-src 'none'",
    `style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`,
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-robots-tag": "noindex",
};

/** The page that asks. `token` is that of a link that was read, which has no character that means something in HTML. */
export const askingPage = (token: string): string =>
  page(
    "Sign out?",
    // Where the server stands below a path, its address is known to the browser alone.
    `<form method="post" action="logout"><input type="hidden" name="token" value="${token}">` +
      `<button>Sign out</button></form>`,
  );

/** A page that only says something. */
export const tellingPage = (title: string, text: string): string => page(title, `<p>${text}</p>`);

const page = (title: string, content: string): string =>
  `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${title}</title>` +
  `<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style></head>\n` +
  `<body><main><h1>${title}</h1>\n${content}</main></body></html>\n`;
