// Two hundred strings that somebody might hope to have read as something else than text.

const CALL = "window.pwned=1";
const TAGS = ["img src=x onerror", "svg onload", "body onload", "input autofocus onfocus", "details open ontoggle", "video src=x onerror", "iframe onload", "marquee onstart", "audio src=x onerror", "select autofocus onfocus"];
const SCHEMES = ["javascript:", "JaVaScRiPt:", "java\tscript:", " javascript:", "data:text/html,", "vbscript:"];
const PLAIN = [
  `<script>${CALL}</script>`, `<ScRiPt>${CALL}</sCrIpT>`, `</script><script>${CALL}</script>`, `"><script>${CALL}</script>`, `'><script>${CALL}</script>`, `--><script>${CALL}</script>`, `]]><script>${CALL}</script>`,
  `</title><script>${CALL}</script>`, `</textarea><script>${CALL}</script>`, `</style><script>${CALL}</script>`, `<style>*{display:none}</style>`, `<base href=//evil.example/>`, `<meta http-equiv=refresh content=0;url=//evil.example>`,
  `<link rel=stylesheet href=//evil.example/x.css>`, `<object data=//evil.example>`, `<embed src=//evil.example>`, `<form action=//evil.example><button>x`, `<math><mtext><table><mglyph><style><img src=x onerror=${CALL}>`,
  "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;", "\\u003cscript\\u003e", "%3Cscript%3E", "{{constructor.constructor('alert(1)')()}}", "${alert(1)}", "<%= 7*7 %>", "#{7*7}", "__proto__", "constructor", "toString", "hasOwnProperty",
  "' OR 1=1 --", "\"; DROP TABLE groups; --", "../../../etc/passwd", "..\\..\\windows", "\u0000", "\u001b[31mred", "\u202Ereversed", "\u200B\u200C\u200D", "\uFEFFbom", "a\u0301\u0301\u0301\u0301\u0301\u0301", "\uD83D\uDE00\uD83D\uDC68\u200D\uD83D\uDC69", "\uD800",
  "null", "undefined", "NaN", "[object Object]", "true", "-0", "1e309", "x".repeat(2_000), "very long words ".repeat(60), "line\nbreak", "tab\there", "\r\nSet-Cookie: a=b", "`backticks`", "``", "`${x}`", "/* */ // -->", "?q=1&a=b#/g/x", "%00", "%E0%A4%A", "#/", "?", "日本語のグループ", "مجموعة", "עברית",
];

export const corpus = [
  ...PLAIN,
  ...TAGS.flatMap((tag) => [`<${tag}=${CALL}>`, `"><${tag}=${CALL}>`, `' ${tag.split(" ").at(-1)}=${CALL} x='`, `<${tag.toUpperCase()}="${CALL}"`, `<<${tag}=${CALL}//`, `<a><${tag}=alert(1)></a>`, `\`\`<${tag}=${CALL}>\`\``]),
  ...SCHEMES.flatMap((scheme) => [`${scheme}${CALL}`, `<a href="${scheme}${CALL}">click</a>`, `[click](${scheme}${CALL})`, `url(${scheme}${CALL})`, `${scheme}//%0a${CALL}`]),
  ...Array.from({ length: 45 }, (_, i) => `${["<", "&lt;", "\"", "'", "`"][i % 5]}img/src=${i}/onerror=${CALL}${[">", "&gt;", "//", " ", "\n>"][Math.floor(i / 5) % 5]}`),
];
