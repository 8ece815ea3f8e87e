import { defineConfig } from "vite";

// One script, that of the charts which it brings after the first words, one style sheet: with hashed names, so that they may be cached for good. Nothing is inlined into the
// document, because the content security policy allows no inline script and no inline style.
export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 400,
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
