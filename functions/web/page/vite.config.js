import { defineConfig } from "vite";

// What a page is opened for is asked for first: src/early.ts and what it needs are a small script, which runs as soon as it is there, while the others
// are still fetched.
const EARLY = /\/src\/(early|api|clock|listing|route)\.ts$/;

/** The document would only have loaded that chunk: it runs it, before the others. */
const runEarly = {
  name: "run-early",
  transformIndexHtml: {
    order: "post",
    handler: (html) => {
      let early = "";
      const rest = html.replace(/ *<link rel="modulepreload" crossorigin href="([^"]*\/early-[^"]*)">\n/, (_, path) => {
        early = `    <script type="module" crossorigin async fetchpriority="high" src="${path}"></script>\n`;
        return "";
      });
      if (early === "") throw new Error("there is no chunk named early");
      return rest.replace(/ *<script /, (next) => early + next);
    },
  },
};

// The rest is one script, one style sheet, and the script of the charts, which comes after the first words: with hashed names, so that they may be cached
// for good. Nothing is inlined into the document, because the content security policy allows no inline script and no inline style.
export default defineConfig({
  base: "./",
  plugins: [runEarly],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 400,
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "early", test: EARLY }] } } },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
