// Columns in Arrow's layout from and to arrays of JavaScript's values.
//
// In the guest's world (see tool/world.mjs) the data of a text column is one string, and an integer that comes in is two
// numbers, its lower and its upper 32 bits; what goes out is a typed array.

import * as json from './json.js';
import * as path from './path.js';
import { Timestamp } from './time.js';
import * as utf8 from './utf8.js';
import { Float64, Json, decode, mixedText, of, ofFloat, ofInt } from './values.js';

const joined = ([low, high]) => {
  // Most numbers fit, and BigInt is slow.
  if (high === 0 || high === -1) return high === 0 ? low >>> 0 : (low >>> 0) - 0x1_0000_0000;
  return ofInt((BigInt(high | 0) << 32n) | BigInt(low >>> 0));
};

const joinedBig = ([low, high]) => (BigInt(high | 0) << 32n) | BigInt(low >>> 0);

function slices({ data, ends }) {
  let start = 0;
  return Array.from(ends, (end) => {
    const piece = data.slice(start, end);
    start = end;
    return piece;
  });
}

/** The values of each kind of column, one per row. */
const DECODE = {
  text: ({ data, ends }) => utf8.cut(data, ends),
  json: ({ data, ends }) => utf8.cut(data, ends).map((text) => (text === '' ? undefined : decode(text))),
  bytes: slices,
  int64: (pairs) => pairs.map(joined),
  timestamp: (pairs) => pairs.map((pair) => new Timestamp(joinedBig(pair))),
  float64: (numbers) => Array.from(numbers, ofFloat),
  boolean: (bits) => bitsOf(bits, bits.length * 8),
};

/** A bitmap, least significant bit first, as an array of booleans. */
export function bitsOf(bitmap, rows) {
  const out = new Array(rows);
  for (let row = 0; row < rows; row++) out[row] = ((bitmap[row >> 3] >> (row & 7)) & 1) === 1;
  return out;
}

/** The bitmap of what a function says about each row. */
export function bitmapOf(rows, isSet) {
  const bitmap = new Uint8Array((rows + 7) >> 3);
  for (let row = 0; row < rows; row++) if (isSet(row)) bitmap[row >> 3] |= 1 << (row & 7);
  return bitmap;
}

/** A column of the batch. Its values are decoded when they are first asked for, all at once. */
export class Column {
  #raw;
  #values;

  constructor(raw) {
    this.#raw = raw;
  }

  /** The field's path. */
  get name() {
    return this.#raw.name;
  }

  /** `text`, `bytes`, `int64`, `float64`, `boolean`, `timestamp` or `json`. */
  get kind() {
    return this.#raw.values.tag;
  }

  /**
   * A value for each row, undefined where the record lacks the field. Those of a json column come by their own kind, and a
   * whole float64 as a Float64.
   */
  get values() {
    if (this.#values === undefined) {
      const { present, values } = this.#raw;
      const found = DECODE[values.tag](values.val);
      if (present !== undefined && present !== null) {
        for (let row = 0; row < found.length; row++) {
          if (((present[row >> 3] >> (row & 7)) & 1) === 0) found[row] = undefined;
        }
      }
      this.#values = found;
    }
    return this.#values;
  }
}

/** How many names deep a member of an object without columns lies at most; what lies deeper is part of a value. */
const MAX_INSIDE = 8;

/** The names on the way from an object without columns to a field inside of it; none where it cannot lie there. */
export function namesWithin(outer, name) {
  const isRest = outer === '@rest';
  if (isRest ? path.RESERVED.includes(name) : !path.isBelow(name, outer)) return [];
  const names = path.names(isRest ? name : name.slice(outer.length + 1));
  return names.length <= MAX_INSIDE ? names : [];
}

/** The value at the end of that way, from the members of the object; undefined where there is none. */
export function memberWithin(members, [first, ...rest]) {
  let found = members.get(first);
  for (const inner of rest) found = found === undefined ? undefined : json.members(found).get(inner);
  return found === undefined ? undefined : decode(found);
}

/** Records as columns, those that the filter asked for. */
export class Batch {
  #columns = new Map();
  // Columns in which objects may stand that have no columns for their members.
  #objects;

  constructor(raw) {
    /** How many records there are. */
    this.rows = raw.rows;
    for (const column of raw.columns) this.#columns.set(column.name, new Column(column));
    this.#objects = this.columns.filter((column) => column.kind === 'json');
  }

  /** All columns. */
  get columns() {
    return [...this.#columns.values()];
  }

  /** The column of this path, or undefined where no record of the batch has the field. */
  column(name) {
    return this.#columns.get(name) ?? (name.includes('\\') ? this.#columns.get(path.canonical(name)) : undefined);
  }

  /**
   * The field's value for each row, wherever the record has it: in its column, or inside of an object that has no columns for
   * its members, of which `@rest` is one. Undefined where the record lacks it; a whole float64 is a Float64.
   */
  values(name) {
    let found = this.own(name);
    name = path.canonical(name);
    for (const outer of this.#objects) {
      const names = namesWithin(outer.name, name);
      if (names.length === 0) continue;
      const objects = outer.values;
      found = Array.from({ length: this.rows }, (_, row) =>
        found[row] !== undefined || !(objects[row] instanceof Json)
          ? found[row]
          : memberWithin(json.members(objects[row].text), names));
    }
    return found;
  }

  /** The same of its own column alone. */
  own(name) {
    return this.column(name)?.values ?? new Array(this.rows).fill(undefined);
  }
}

/** The kind of a value of a field. */
export function kindOf(value) {
  switch (typeof value) {
    case 'string':
      return 'text';
    case 'boolean':
      return 'boolean';
    case 'bigint':
      return 'int64';
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? 'int64' : 'float64';
  }
  if (value instanceof Float64) return 'float64';
  if (value instanceof Timestamp) return 'timestamp';
  return value instanceof Json ? 'json' : 'bytes';
}

/** The column of these values, undefined where a row has none; or undefined where no row has one. */
export function columnOf(name, content, rows = content.length) {
  const plain = plainTexts(content, rows);
  if (plain !== undefined) return { name, ...plain };
  let kind;
  let absent = false;
  for (let row = 0; row < rows; row++) {
    const value = content[row];
    if (value === undefined) {
      absent = true;
      continue;
    }
    const own = typeof value === 'string' ? 'text' : kindOf(value);
    if (kind === undefined) kind = own;
    else if (kind !== own) kind = 'json';
  }
  if (kind === undefined) return undefined;
  const present = absent ? bitmapOf(rows, (row) => content[row] !== undefined) : undefined;
  return { name, present, values: { tag: kind, val: ENCODE[kind](content, rows) } };
}

const ENCODE = {
  text: (content, rows) => textsOf(content, rows),
  json: (content, rows) =>
    textsOf(Array.from({ length: rows }, (_, row) => (content[row] === undefined ? undefined : mixedText(content[row]))), rows),
  bytes(content, rows) {
    const ends = new Uint32Array(rows);
    let size = 0;
    for (let row = 0; row < rows; row++) ends[row] = size += content[row]?.length ?? 0;
    const data = new Uint8Array(size);
    for (let row = 0; row < rows; row++) if (content[row] !== undefined) data.set(content[row], ends[row] - content[row].length);
    return { data, ends };
  },
  int64(content, rows) {
    const out = new BigInt64Array(rows);
    for (let row = 0; row < rows; row++) if (content[row] !== undefined) out[row] = BigInt(content[row]);
    return out;
  },
  timestamp(content, rows) {
    const out = new BigInt64Array(rows);
    for (let row = 0; row < rows; row++) if (content[row] !== undefined) out[row] = content[row].ns;
    return out;
  },
  float64(content, rows) {
    const out = new Float64Array(rows);
    for (let row = 0; row < rows; row++) out[row] = content[row]?.value ?? content[row] ?? 0;
    return out;
  },
  boolean: (content, rows) => bitmapOf(rows, (row) => content[row] === true),
};

/**
 * The column of nothing but texts of ASCII, and rows without one; or undefined. One loop where `columnOf` has one for the kind,
 * one for the rows that have a value and one for the values.
 */
function plainTexts(content, rows) {
  if (content.length !== rows) return undefined;
  const ends = new Uint32Array(rows);
  let present;
  let end = 0;
  for (let row = 0; row < rows; row++) {
    const text = content[row];
    if (typeof text === 'string') {
      ends[row] = end += text.length;
      if (present !== undefined) present[row >> 3] |= 1 << (row & 7);
    } else if (text === undefined) {
      ends[row] = end;
      // Those before it have one.
      present ??= bitmapOf(rows, (before) => before < row);
    } else {
      return undefined;
    }
  }
  // An absent value joins as nothing.
  const data = content.join('');
  if (data === '' || !utf8.isAscii(data)) return undefined;
  return { present, values: { tag: 'text', val: { data, ends } } };
}

function textsOf(content, rows) {
  const parts = new Array(rows);
  const ends = new Uint32Array(rows);
  let end = 0;
  for (let row = 0; row < rows; row++) {
    const text = content[row] ?? '';
    parts[row] = text;
    ends[row] = end += text.length;
  }
  const data = parts.join('');
  if (!utf8.isAscii(data)) {
    end = 0;
    for (let row = 0; row < rows; row++) ends[row] = end += utf8.length(parts[row]);
  }
  return { data, ends };
}

/** What becomes of a batch. Without a call every record goes on as it is. */
export class Changes {
  #rows;
  #take;
  #set = new Map();
  #remove = [];
  #rejected = new Map();

  constructor(rows) {
    this.#rows = rows;
  }

  /** Writes a column: a value for every row that goes on, undefined where the record keeps what it has. */
  set(name, content) {
    const rows = this.goingOn;
    if (content.length !== rows) throw new RangeError(`${content.length} values of \`${name}\` for ${rows} rows that go on`);
    this.#put(path.check(name), content.map((value) => (value === undefined ? undefined : of(value))), rows);
  }

  #put(name, content, rows) {
    const column = rows === 0 ? undefined : columnOf(name, content, rows);
    if (column !== undefined) this.#set.set(name, column);
  }

  /**
   * Removes a field, and what lies below it, before any column is written: from all rows, or from those for which `rows`, with
   * a place for each row that goes on, is true.
   */
  remove(name, rows) {
    this.#remove.push({ name: path.check(name), rows: rows && bitmapOf(rows.length, (row) => rows[row]) });
  }

  /** Rejects row `row` of the batch handed in: it goes where the host's `on_error` says. Of several reasons the first one is told. */
  reject(row, reason) {
    if (!this.#rejected.has(row)) this.#rejected.set(row, utf8.wellFormed(String(reason)));
  }

  /**
   * Lets only these rows go on, in this order, by their number in the batch handed in. A number may be left out (the record is
   * dropped) or stand twice (it is split in two). Rejected rows must not stand there.
   */
  take(rows) {
    this.#take = Uint32Array.from(rows);
  }

  /** How many rows go on. */
  get goingOn() {
    return this.#take === undefined ? this.#rows - this.#rejected.size : this.#take.length;
  }

  /** Writes what a `Rows` has gathered. */
  write(gathered) {
    for (const [name, content] of gathered.columns) this.#put(name, content, this.goingOn);
  }

  /** The answer, as the contract has it. */
  finish() {
    const rejected = Array.from(this.#rejected, ([row, reason]) => ({ row, reason }));
    return { take: this.#take, set: [...this.#set.values()], remove: this.#remove, rejected };
  }
}

/** Values of rows that go on, gathered row by row: `next` begins a row, `set` writes to it. */
export class Rows {
  /** Arrays of values by the paths of their fields. */
  columns = new Map();
  #row = -1;

  /** Begins the next row that goes on. */
  next() {
    this.#row++;
  }

  /** Sets a field of the row, by its path. */
  set(name, value) {
    this.put(this.columns.has(name) ? name : path.check(name), of(value));
  }

  /** The same for a path, and a value with no lone surrogate in it, that are known to be right. */
  put(name, value) {
    let column = this.columns.get(name);
    if (column === undefined) this.columns.set(name, (column = []));
    const row = this.#row;
    if (column.length < row) fill(column, row);
    column[row] = value;
  }

  /** The values of a field so far, one for each row; the array may be written to. */
  column(name) {
    let column = this.columns.get(name);
    if (column === undefined) this.columns.set(name, (column = []));
    fill(column, this.#row + 1);
    return column;
  }
}

/** Leaves no hole below a place: an array with holes is a table of names to the engine. */
function fill(column, end) {
  for (let row = column.length; row < end; row++) column[row] = undefined;
}
