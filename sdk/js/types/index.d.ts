// Filters for flitch in TypeScript: see README.md.

/** An instant. */
export class Timestamp {
  /** From nanoseconds since 1970-01-01T00:00:00Z; throws where int64 does not hold them. */
  constructor(ns: bigint | number);
  static of(date: Date): Timestamp;
  /** Nanoseconds since 1970-01-01T00:00:00Z. */
  readonly ns: bigint;
  /** Without what lies below a millisecond. */
  toDate(): Date;
  /** RFC 3339 in UTC. */
  toString(): string;
}

export function formatRfc3339(ns: bigint): string;
/** An RFC 3339 instant to whom the text alone says that it is one. */
export function parseExact(text: string): Timestamp | undefined;
/** An instant in the forms that loggers give RFC 3339. */
export function parseRfc3339(text: string): Timestamp | undefined;

/** A value as JSON text: an array, a null, a number that neither int64 nor float64 holds exactly. */
export class Json {
  constructor(text: string);
  readonly text: string;
  value(): unknown;
}

/** A whole number that is a float64 all the same. */
export class Float64 {
  constructor(value: number);
  readonly value: number;
}

/** A value of a field; an int64 that no number holds exactly is a bigint. */
export type Value = string | number | bigint | boolean | Uint8Array | Timestamp | Json | Float64;

/** What a field can be set to. An object's members become fields of their own. */
export type Settable = Value | null | Date | readonly Settable[] | { readonly [member: string]: Settable };

/** Rejects the record when it is thrown: its message is the reason. */
export class Reject extends Error {}

/** A record, and what becomes of it. Reads see what was set before; fields are named by their path. */
export class Record {
  private constructor();
  /** The field's value; a float64 as a number, null for an explicit null, undefined where it is absent. */
  get(name: string): Exclude<Value, Float64> | null | undefined;
  /** The same by its kind: a whole float64 as a Float64, null as Json. */
  exact(name: string): Value | undefined;
  has(name: string): boolean;
  text(name: string): string | undefined;
  /** The field's text; throws, which rejects the record, where it is absent or no text. */
  needText(name: string): string;
  /** The field's number; an integer past 2^53 is rounded. */
  number(name: string): number | undefined;
  boolean(name: string): boolean | undefined;
  /** The field's instant in nanoseconds since 1970; of `@timestamp` where no name is given. */
  timestamp(name?: string): bigint | undefined;
  /** The field as JSON has it, whatever its kind. */
  json(name: string): unknown;
  fields(): [string, Exclude<Value, Float64> | null][];
  /** Sets a field. The value replaces whatever stood at, above or below its path. */
  set(name: string, value: Settable): void;
  /** Removes a field, and what lies below it. */
  remove(name: string): void;
  /** Drops the record on purpose. */
  discard(): void;
  /** Of several reasons the first one is told. */
  reject(reason: string): void;
  /** One record for each part: `for (const part of record.split(parts)) record.set(…)`. */
  split<T>(parts: Iterable<T>): IterableIterator<T>;
}

export class Column {
  private constructor();
  readonly name: string;
  readonly kind: 'text' | 'bytes' | 'int64' | 'float64' | 'boolean' | 'timestamp' | 'json';
  /** A value for each row, undefined where the record lacks the field. */
  readonly values: (Value | undefined)[];
}

/** Records as columns, those that the filter asked for. */
export class Batch {
  private constructor();
  readonly rows: number;
  readonly columns: Column[];
  column(name: string): Column | undefined;
  /**
   * The field's value for each row, wherever the record has it: in its column, or inside of an object that has no columns for
   * its members, of which `@rest` is one. Undefined where the record lacks it.
   */
  values(name: string): (Value | undefined)[];
}

/** What becomes of a batch. Without a call every record goes on as it is. */
export class Changes {
  private constructor();
  /** Writes a column: a value for every row that goes on, undefined where the record keeps what it has. */
  set(name: string, values: readonly (Settable | undefined)[]): void;
  /** Removes a field before any column is written, from all rows or from those for which `rows` is true. */
  remove(name: string, rows?: readonly boolean[]): void;
  /** Of several reasons the first one is told. */
  reject(row: number, reason: string): void;
  /** Lets only these rows go on, in this order. */
  take(rows: Iterable<number>): void;
  readonly goingOn: number;
  /** Writes what was gathered row by row. */
  write(rows: Rows): void;
}

/** Values of rows that go on, gathered row by row. */
export class Rows {
  next(): void;
  set(name: string, value: Settable): void;
  /** The same for a path, and a value with no lone surrogate in it, that are known to be right. */
  put(name: string, value: Value): void;
  /** The values of a field so far, by row; the array may be written to. */
  column(name: string): (Value | undefined)[];
}

/** What the module exports as `filter`. */
export interface Filter {
  configure(settings: string): unknown;
  apply(batch: unknown): unknown;
}

/** What a filter answers besides that remembers things between records, if they are to outlive its instance. */
export interface Remembers {
  /** What the instance remembers now, bytes or a text. An exception ends the instance. */
  save?(): Uint8Array | string;
  /**
   * Adds what was saved once to what the instance remembers: once for each instance that there was, which may be several. An
   * exception is shown to the operator, and the filter begins empty.
   */
  restore?(saved: Uint8Array): void;
}

/** What the module exports as `state`. */
export interface State {
  save(): Uint8Array;
  restore(saved: Uint8Array): void;
}

/** The state of a filter that has `save` and `restore`: `export const state = stateOf(filter)`. */
export function stateOf(filter: Filter): State;

/** A filter that sees one record at a time; an exception from `apply` rejects the record. */
export function recordFilter<S>(
  checker: settings.Checker<S>,
  make: (settings: S) => { fields?: readonly string[]; apply(record: Record): void } & Remembers,
): Filter;

/** A filter that sees whole columns; an exception from `apply` rejects the batch as a whole. */
export function columnFilter<S>(
  checker: settings.Checker<S>,
  make: (settings: S) => { fields?: readonly string[]; apply(batch: Batch, changes: Changes): void } & Remembers,
): Filter;

/** Checkers of settings: `settings.object({ field: settings.text(), drop: settings.list(settings.text()).or([]) })`. */
export namespace settings {
  interface Checker<T> {
    /** The key may be missing, and the value is this one then; a function makes one. */
    or(fallback: T | (() => T)): Checker<T>;
    or(fallback: undefined): Checker<T | undefined>;
    /** Never there: it keeps the type. */
    readonly type?: T;
  }
  /** The type of what a checker reads. */
  type Infer<C> = C extends Checker<infer T> ? T : never;
  class Wrong extends Error {}

  function text(): Checker<string>;
  function boolean(): Checker<boolean>;
  function number(): Checker<number>;
  /** A bigint where a number cannot hold it. */
  function integer(): Checker<number | bigint>;
  function oneOf<const T extends string>(...options: T[]): Checker<T>;
  function list<T>(item: Checker<T>): Checker<T[]>;
  /** An object whose keys are free. */
  function map<T>(item: Checker<T>): Checker<{ [name: string]: T }>;
  /** An object of these keys, and no others. */
  function object<S extends { [name: string]: Checker<unknown> }>(shape: S): Checker<{ [K in keyof S]: Infer<S[K]> }>;
  function any(): Checker<any>;
  /** Anything, with numbers as a field's values have them. */
  function exact(): Checker<any>;
}

/** What the host gives a filter. In a native test it goes to a stand-in. */
export namespace host {
  /** A line in the host's log, under the filter's name. */
  function debug(message: string): void;
  function info(message: string): void;
  function warn(message: string): void;
  function error(message: string): void;
  /** Adds to a counter that the host exports under the filter's name. */
  function count(counter: string, delta?: number | bigint): void;
  /** The wanted fields of a table's rows: for each name a value per key, undefined where there is none. */
  function lookup<const N extends string>(
    table: string,
    keys: readonly (Value | undefined)[],
    want: readonly N[],
  ): { [K in N]: (Value | undefined)[] };
}

/** The names of fields. */
export namespace path {
  /** One name as it stands in a path. */
  function escape(name: string): string;
  function join(names: readonly string[]): string;
  function push(path: string, name: string): string;
  /** The names along a path, from the outermost. */
  function split(path: string): string[];
  function canonical(path: string): string;
  function above(path: string): string[];
  function andAbove(path: string): string[];
  function isBelow(inner: string, outer: string): boolean;
  function overlap(a: string, b: string): boolean;
  function contradiction(paths: readonly string[]): [string, string] | undefined;
  function check(path: string): string;
}

/** UTF-8, for which QuickJS has no TextDecoder. */
export namespace utf8 {
  function encode(text: string): Uint8Array;
  function decode(bytes: Uint8Array): string;
  function length(text: string): number;
  function isAscii(text: string): boolean;
  function isWellFormed(text: string): boolean;
  function wellFormed(text: string): string;
}
