// Draws dashboards as they open: asks a Prometheus what their panels ask, and lets Grafana's own components (@grafana/ui) draw the answers in a
// headless Chromium.
//
//   node draw.mjs http://127.0.0.1:9090 ../grafana ../../docs/dashboards [minutes]

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import UPNG from 'upng-js';

const [prometheus, from, to, minutes = '20'] = process.argv.slice(2);
const WIDTH = 1400;
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const here = path.dirname(fileURLToPath(import.meta.url));
const end = Math.floor(Date.now() / 1000);
const start = end - 60 * Number(minutes);
const step = Math.max(5, Math.round((end - start) / 200));

/** An expression as Grafana sends it when everything is chosen. */
function resolved(expr) {
  return expr
    .replaceAll('$__rate_interval', '20s')
    .replaceAll('$__range', `${end - start}s`)
    .replaceAll(/\$(cluster|job|instance|dc|keyspace|table|service)/g, '.*');
}

async function ask(target, isRange) {
  const query = new URLSearchParams({ query: resolved(target.expr) });
  if (isRange) {
    query.set('start', start);
    query.set('end', end);
    query.set('step', step);
  } else {
    query.set('time', end);
  }
  const answer = await fetch(`${prometheus}/api/v1/${isRange ? 'query_range' : 'query'}?${query}`);
  const body = await answer.json();
  if (body.status !== 'success') {
    throw new Error(`${target.expr}: ${body.error}`);
  }
  return { refId: target.refId, legend: target.legendFormat, series: body.data.result };
}

/** What is seen before anything is opened: the panels of open rows, and the headings of the others. */
async function answered(dashboard) {
  const panels = [];
  for (const panel of dashboard.panels) {
    const answers = [];
    for (const target of panel.targets ?? []) {
      answers.push(await ask(target, target.range));
    }
    panels.push({ panel: { ...panel, panels: undefined }, answers });
  }
  return { title: dashboard.title, variables: dashboard.templating.list.map((it) => it.label), panels, start, end };
}

const work = await mkdtemp(path.join(tmpdir(), 'pictures-'));
await build({
  entryPoints: [path.join(here, 'page.jsx')],
  bundle: true,
  outfile: path.join(work, 'page.js'),
  format: 'iife',
  loader: { '.css': 'empty', '.png': 'empty', '.svg': 'empty', '.ttf': 'empty' },
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  jsx: 'automatic',
  logLevel: 'error',
});
const style = await readFile(path.join(here, 'node_modules/uplot/dist/uPlot.min.css'), 'utf8');
const script = await readFile(path.join(work, 'page.js'));
let shown = {};
const server = createServer((request, response) => {
  if (request.url === '/page.js') {
    response.writeHead(200, { 'content-type': 'text/javascript' });
    response.end(script);
  } else if (request.url === '/') {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(
      `<!doctype html><meta charset="utf-8"><style>${style}</style><body><div id="root"></div><script>window.shown = ${JSON.stringify(shown).replaceAll('<', '\\u003c')}</script><script src="/page.js"></script>`,
    );
  } else {
    response.writeHead(404);
    response.end();
  }
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
try {
  for (const name of (await readdir(from)).filter((it) => it.endsWith('.json'))) {
    shown = await answered(JSON.parse(await readFile(path.join(from, name), 'utf8')));
    const page = await browser.newPage({ viewport: { width: WIDTH, height: 600 } });
    page.on('pageerror', (error) => console.error(`${name}: ${error.message}`));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForSelector('#drawn', { timeout: 60_000, state: 'attached' });
    await page.waitForTimeout(500);
    const file = path.join(to, name.replace('.json', '.png'));
    const drawn = UPNG.decode(await page.screenshot({ fullPage: true }));
    // Lines and letters need few colours.
    await writeFile(file, Buffer.from(UPNG.encode(UPNG.toRGBA8(drawn), drawn.width, drawn.height, 64)));
    await page.close();
    console.log(file);
  }
} finally {
  await browser.close();
  server.close();
  await rm(work, { recursive: true });
}
