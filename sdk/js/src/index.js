// Filters for flitch in JavaScript: you write what becomes of a record, the SDK makes it a WebAssembly component.

export { Batch, Changes, Column, Rows } from './columns.js';
export { columnFilter, recordFilter, stateOf } from './filter.js';
export * as host from './host.js';
export * as path from './path.js';
export { Record, Reject } from './record.js';
export * as settings from './settings.js';
export { Timestamp, formatRfc3339, parseExact, parseRfc3339 } from './time.js';
export * as utf8 from './utf8.js';
export { Float64, Json } from './values.js';
