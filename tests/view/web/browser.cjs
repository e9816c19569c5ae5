// A headless Chromium that does what it reads: a line of JSON with JavaScript in, a line with its result or error out.
// The JavaScript sees `page`, `context`, `requests` (addresses asked for), `errors` of scripts, and in the page `drawnTexts` (of canvases).
const fs = require("fs");
const os = require("os");
const path = require("path");
const readline = require("readline");
const { chromium } = require("playwright-core");

const FLAGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run";
const AsyncFunction = (async () => {}).constructor;

function recordTexts() {
  window.drawnTexts = new Set();
  const draw = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
    window.drawnTexts.add(text);
    return draw.call(this, text, ...where);
  };
}

(async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "mmsar-browser-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.argv[2],
    args: FLAGS.split(" "),
    viewport: { width: 720, height: 480 },
    acceptDownloads: true,
  });
  const requests = [];
  const errors = [];
  await context.addInitScript(recordTexts);
  const page = context.pages()[0] ?? (await context.newPage());
  const watch = (p) => {
    p.on("request", (request) => requests.push(request.url()));
    p.on("websocket", (socket) => requests.push(socket.url()));
    p.on("pageerror", (error) => errors.push(String(error?.message ?? error)));
  };
  watch(page);
  context.on("page", watch);
  context.setDefaultTimeout(40000);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      const run = new AsyncFunction("page", "context", "requests", "errors", JSON.parse(line).run);
      answer = { result: (await run(page, context, requests, errors)) ?? null };
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  await context.close();
  fs.rmSync(folder, { recursive: true, force: true });
})();
