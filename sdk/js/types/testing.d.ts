// Native tests of filters: records in as JSON, records out as JSON.

import type { Filter } from './index.js';

/** The filter refuses its settings, or fails for a batch as a whole: what it says. */
export class Refused extends Error {}

export interface Outcome {
  /** The records that go on. */
  records: { [name: string]: unknown }[];
  /** The rows that were rejected, with the reasons. */
  rejected: [number, string][];
}

/** A configured filter under test. */
export class Tester {
  constructor(filter: Filter, settings?: object);
  readonly fields: string[] | undefined;
  run(records: readonly object[]): Outcome;
  runNdjson(ndjson: string): Outcome;
}

/** Runs every case under a folder, and throws with the first that went wrong. Answers how many there are. */
export function runCases(folder: string, filter: Filter): number;

/** Gives the host a table to look into: its rows by their keys. */
export function setTable(name: string, rows: { [key: string]: object }): void;
/** What was logged since the last call: levels and lines. */
export function takeLog(): [string, string][];
/** What was counted since the last call. */
export function takeCounters(): { [name: string]: bigint };
