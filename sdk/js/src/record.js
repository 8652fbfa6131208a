// One record at a time, over columns.

import { Changes, Rows, memberWithin, namesWithin } from './columns.js';
import * as json from './json.js';
import * as path from './path.js';
import { Timestamp } from './time.js';
import { Float64, Json, isObject, of, textOf } from './values.js';

/** Rejects the record when it is thrown: its message is the reason. */
export class Reject extends Error {}

/**
 * A record, and what becomes of it. Reads see what was set before.
 *
 * Fields are named by their path: `status`, `kubernetes.labels.app`, with a dot in a name written `\.`. The event's time is
 * `@timestamp`, its tag `@tag`.
 */
export class Record {
  #batch;
  #columns = new Map();
  #row = 0;
  // What this copy of the record sets and removes; and that of all copies that go on.
  #set = new Map();
  #removed = [];
  #sets = [];
  #removals = new Map();
  #take = [];
  #start = 0;
  #rejected = [];
  #dropped = false;
  #refusal;
  #reordered = false;
  // For each path that was set: those set paths that lie above or below; and for paths above, those below.
  #kin = new Map();
  #below = new Map();

  // Where the filter has asked for all fields, some may stand in objects that have no columns for their members: these columns.
  // And the members of those that were looked into, of this row.
  #outer = [];
  #members = new Map();

  constructor(batch, seesAll = false) {
    this.#batch = batch;
    if (seesAll) this.#outer = batch.columns.filter((column) => column.kind === 'json').map((column) => column.name);
  }

  /** The field's value by its kind, a whole float64 as a Float64; undefined where it is absent. */
  exact(name) {
    if (this.#set.size > 0 || this.#removed.length > 0) {
      const value = this.#set.get(name);
      if (value !== undefined) return value;
      if (this.#isReplaced(name)) return undefined;
    }
    let column = this.#columns.get(name);
    if (column === undefined) {
      if (name.includes('\\') && path.canonical(name) !== name) return this.exact(path.canonical(name));
      column = this.#batch.own(name);
      this.#columns.set(name, column);
    }
    const value = column[this.#row];
    return value === undefined && this.#outer.length > 0 ? this.#inside(name) : value;
  }

  /** The value at a path inside of an object of the record that has no columns for its members. */
  #inside(name) {
    for (const outer of this.#outer) {
      const names = outer === '@rest' && this.#removed.includes(outer) ? [] : namesWithin(outer, name);
      const value = names.length > 0 ? this.#batch.own(outer)[this.#row] : undefined;
      if (!(value instanceof Json)) continue;
      let members = this.#members.get(outer);
      if (members === undefined) this.#members.set(outer, (members = json.members(value.text)));
      const found = memberWithin(members, names);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The field's value; a float64 as a number, null for an explicit null, undefined where it is absent. */
  get(name) {
    const value = this.exact(name);
    if (value instanceof Float64) return value.value;
    return value instanceof Json && value.text === 'null' ? null : value;
  }

  /** Whether the record has the field, be it as null. */
  has(name) {
    return this.exact(name) !== undefined;
  }

  /** The field's text, or undefined where it is absent or no text. */
  text(name) {
    const value = this.exact(name);
    return typeof value === 'string' ? value : undefined;
  }

  /** The field's text. Throws, which rejects the record, where it is absent or no text. */
  needText(name) {
    const value = this.exact(name);
    if (typeof value === 'string') return value;
    throw new Reject(`the field \`${name}\` is ${value === undefined ? 'missing' : 'not text'}`);
  }

  /** The field's number, or undefined where it is absent or no number. An integer past 2^53 is rounded: `get` has it as it is. */
  number(name) {
    const value = this.get(name);
    return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined;
  }

  /** The field's boolean, or undefined where it is absent or none. */
  boolean(name) {
    const value = this.exact(name);
    return typeof value === 'boolean' ? value : undefined;
  }

  /** The field's instant in nanoseconds since 1970, a bigint, or undefined where it is absent or none. */
  timestamp(name = '@timestamp') {
    const value = this.exact(name);
    return value instanceof Timestamp ? value.ns : undefined;
  }

  /** The field as JSON has it, whatever its kind: an array, a number, a text; undefined where it is absent. */
  json(name) {
    const value = this.exact(name);
    return value === undefined ? undefined : json.plain(json.parse(textOf(value)));
  }

  /**
   * All fields that the filter sees with their values, in the order of their paths, then those that it has added. What stands in
   * `@rest` is one of them, whatever has columns in other records.
   */
  fields() {
    const seen = this.#batch.columns.map((column) => column.name).sort();
    const added = [...this.#set.keys()].filter((name) => !seen.includes(name));
    const outer = this.#outer;
    this.#outer = [];
    const all = [...seen, ...added].filter((name) => this.has(name)).map((name) => [name, this.get(name)]);
    this.#outer = outer;
    return all;
  }

  /**
   * Sets a field. The value replaces whatever stood at, above or below its path. The members of an object become fields of
   * their own; an array and null become json; a Date an instant. For `@timestamp` a bigint is nanoseconds since 1970.
   */
  set(name, value) {
    if (typeof value === 'object' && isObject(value) && !path.RESERVED.includes(name)) {
      const members = Object.entries(value);
      if (members.length > 0) {
        this.remove(name);
        // Not by `path.push`, to which an empty path is the record itself.
        for (const [member, inner] of members) this.set(`${name}.${path.escape(member)}`, inner);
        return;
      }
    }
    let kin = this.#kin.get(name);
    if (kin === undefined) [name, kin] = this.#meet(name);
    value = of(value);
    if (name[0] === '@') value = reserved(name, value);
    this.#set.set(name, value);
    for (const other of kin) this.#set.delete(other);
  }

  /** Removes a field, and what lies below it. */
  remove(name) {
    name = path.check(name);
    if (name === '@timestamp' || name === '@tag') throw new RangeError(`\`${name}\` cannot be removed`);
    for (const own of [...this.#set.keys()]) if (own === name || path.isBelow(own, name)) this.#set.delete(own);
    if (!this.#removed.includes(name)) this.#removed.push(name);
  }

  /** Drops the record: it goes nowhere, and the host counts it as dropped on purpose. */
  discard() {
    this.#dropped = true;
  }

  /** Rejects the record, as an exception from `apply` does. Of several reasons the first one is told. */
  reject(reason) {
    this.#refusal ??= String(reason);
  }

  /**
   * Splits the record: `for (const part of record.split(parts)) record.set(…)` makes one record for each part, in order, each
   * beginning with what was changed before. No parts at all drop the record.
   */
  *split(parts) {
    const base = new Map(this.#set);
    const removed = [...this.#removed];
    let first = true;
    for (const part of parts) {
      if (!first) {
        this.#close();
        this.#set = new Map(base);
        this.#removed = [...removed];
        this.#reordered = true;
      }
      first = false;
      yield part;
    }
    this.#dropped ||= first;
  }

  #meet(name) {
    name = path.check(name);
    let kin = this.#kin.get(name);
    if (kin !== undefined) return [name, kin];
    kin = [...(this.#below.get(name) ?? [])];
    for (const outer of path.above(name)) {
      if (this.#kin.has(outer)) kin.push(outer);
      if (!this.#below.has(outer)) this.#below.set(outer, []);
      this.#below.get(outer).push(name);
    }
    for (const other of kin) this.#kin.get(other).push(name);
    this.#kin.set(name, kin);
    return [name, kin];
  }

  #isReplaced(name) {
    for (const removed of this.#removed) if (removed === name || path.isBelow(name, removed)) return true;
    for (const other of this.#set.keys()) if (path.overlap(other, name)) return true;
    return false;
  }

  /** Runs a filter over row `row` of the batch; `reasonOf` says what is said about an exception. */
  run(row, apply, reasonOf) {
    this.#row = row;
    this.#start = this.#take.length;
    this.#set = new Map();
    if (this.#removed.length > 0) this.#removed = [];
    if (this.#members.size > 0) this.#members.clear();
    try {
      apply(this);
    } catch (wrong) {
      const reason = reasonOf(wrong);
      this.#refusal ??= reason;
    }
    if (this.#refusal === undefined) return this.#close();
    this.#rejected.push([row, this.#refusal]);
    this.#refusal = undefined;
    this.#dropped = false;
    this.#take.length = this.#sets.length = this.#start;
    for (const rows of this.#removals.values()) while (rows.length > 0 && rows.at(-1) >= this.#start) rows.pop();
  }

  #close() {
    if (this.#dropped) {
      this.#dropped = false;
      this.#reordered = true;
      return;
    }
    for (const name of this.#removed) {
      if (!this.#removals.has(name)) this.#removals.set(name, []);
      this.#removals.get(name).push(this.#take.length);
    }
    this.#take.push(this.#row);
    this.#sets.push(this.#set);
  }

  /** What became of all of them. */
  finish() {
    const changes = new Changes(this.#batch.rows);
    for (const [row, reason] of this.#rejected) changes.reject(row, reason);
    if (this.#reordered) changes.take(this.#take);
    const rows = this.#take.length;
    for (const [name, from] of this.#removals) {
      const marked = new Array(rows).fill(false);
      for (const row of from) marked[row] = true;
      if (from.length > 0) changes.remove(name, from.length === rows ? undefined : marked);
    }
    const gathered = new Rows();
    for (const set of this.#sets) {
      gathered.next();
      for (const [name, value] of set) gathered.put(name, value);
    }
    changes.write(gathered);
    return changes;
  }
}

/** A value for a name that may be the host's, if it has a right to it. */
function reserved(name, value) {
  if (name === '@timestamp') {
    if (value instanceof Timestamp) return value;
    if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) return new Timestamp(value);
    throw new RangeError('`@timestamp` must be a time');
  }
  if (name === '@tag' && typeof value !== 'string') throw new RangeError('`@tag` must be text');
  if (name === '@rest' && !(value instanceof Json && value.text[0] === '{')) {
    throw new RangeError('`@rest` must be a JSON object');
  }
  return value;
}
