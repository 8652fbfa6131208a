// Native tests of filters: records in as JSON, records out as JSON, and nothing of WebAssembly.
//
// Arrays, nulls and fields of mixed kinds are json columns here as they are in the host, and members of objects are columns under
// their paths. Every record has the time 1970-01-01T00:00:00Z in `@timestamp` and the tag `test` in `@tag` unless it brings others;
// records that come out show the two only where they are others.

import { kept } from '../native.js';
import { dump } from '../values.js';
import * as apply from './apply.js';
import { ofNdjson, select } from './batch.js';

export { runCases } from './cases.js';

/** The filter refuses its settings, or fails for a batch as a whole: what it says. */
export class Refused extends Error {}

/** What the engine makes of what an export throws. */
function call(exported, argument) {
  try {
    return exported(argument);
  } catch (said) {
    throw typeof said === 'string' ? new Refused(said) : said;
  }
}

/** A configured filter under test. */
export class Tester {
  #filter;

  /** Configures the filter, what its module exports as `filter`. Throws `Refused` where it refuses the settings. */
  constructor(filter, settings = {}) {
    this.#filter = filter;
    this.fields = call(filter.configure, dump(settings)).val;
  }

  /** What becomes of records as one batch: `records` that go on, and `rejected` rows with reasons. */
  run(records) {
    return this.runNdjson(records.map(dump).join('\n'));
  }

  /** The same for the records of an NDJSON text. */
  runNdjson(ndjson) {
    const whole = ofNdjson(ndjson);
    return apply.outcome(whole, call(this.#filter.apply, select(whole, this.fields)));
  }
}

/** Gives the host a table to look into: its rows by their keys. */
export function setTable(name, rows) {
  kept.tables[name] = rows;
}

/** What was logged since the last call: levels and lines. */
export function takeLog() {
  return kept.lines.splice(0);
}

/** What was counted since the last call, bigints by the name of the counter. */
export function takeCounters() {
  const counters = kept.counters;
  kept.counters = {};
  return counters;
}
