#!/usr/bin/env node
// Makes a component of a filter: `flitch-build src/filter.ts -o filter.wasm`. The module exports `filter`; TypeScript loses its
// types (they are not checked), and what is imported is taken in.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { asTheContract, guestWorld } from './world.mjs';

const sdk = dirname(dirname(fileURLToPath(import.meta.url)));

/** The module that is built: the filter of the user's, with the host behind it. */
const entry = (filter, names) => `
import * as imports from 'flitch:filter/host@1.0.0';
import { bind } from ${JSON.stringify(join(sdk, 'src/host.js'))};
export { ${names.join(', ')} } from ${JSON.stringify(filter)};
bind(imports);
`;

/** A package of the toolchain: the SDK's own dependency, or what `make setup-sdk LANG=js` has fetched. */
function tool(name) {
  const cache = process.env.FLITCH_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'flitch');
  for (const from of [import.meta.url, join(cache, 'sdk/js/package.json')]) {
    try {
      return createRequire(from)(name);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Error(`${name} is missing: run \`npm install\`, or \`make setup-sdk LANG=js\` in a checkout of flitch`);
}

async function build(filter, { out, stubWasi }) {
  const { build: bundle } = tool('esbuild');
  const { componentize } = tool('componentize-qjs');
  const options = {
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'es2022',
    external: ['flitch:*'],
    // One SDK, whichever way the filter finds it.
    alias: { 'flitch-sdk': join(sdk, 'src/index.js') },
    logLevel: 'warning',
  };
  // What the user's module exports says which world the component is of.
  const alone = await bundle({ ...options, entryPoints: { alone: resolve(filter) }, outdir: sdk, metafile: true });
  const { exports } = Object.values(alone.metafile.outputs)[0];
  if (!exports.includes('filter')) throw new Error(`${filter} exports no \`filter\``);
  const isStateful = exports.includes('state');
  const names = isStateful ? ['filter', 'state'] : ['filter'];
  const stdin = { contents: entry(resolve(filter), names), resolveDir: sdk, loader: 'js' };
  const bundled = await bundle({ ...options, stdin });
  const folder = mkdtempSync(join(tmpdir(), 'flitch-build-'));
  try {
    const witPath = join(folder, 'filter.wit');
    const contract = (name) => readFileSync(join(sdk, 'wit', name), 'utf8');
    writeFileSync(witPath, guestWorld(contract('filter.wit'), contract('state.wit')));
    const jsSource = bundled.outputFiles[0].text;
    const world = isStateful ? 'stateful-plugin' : 'plugin';
    const made = await componentize({ witPath, jsSource, world, sync: true, stubWasi });
    writeFileSync(out, asTheContract(made.component));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string', short: 'o', default: 'filter.wasm' }, 'stub-wasi': { type: 'boolean', default: false } },
  });
  if (positionals.length !== 1) throw new Error('usage: flitch-build FILTER.js|FILTER.ts [-o FILTER.wasm] [--stub-wasi]');
  await build(positionals[0], { out: values.out, stubWasi: values['stub-wasi'] });
} catch (error) {
  console.error(`flitch-build: ${error.message}`);
  process.exit(1);
}
