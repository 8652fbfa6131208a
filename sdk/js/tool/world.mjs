// The world that componentize-qjs gets, and what makes its component one of the contract's world.
//
// The engine's bindings read an s64 as a float64, which is right up to 2^53 only, and hand text over as bytes, which QuickJS has no
// decoder for. So the guest's world names other types of the same layout in memory: `tuple<u32, u32>` for an s64 that comes in, and
// `string` for the UTF-8 of a text column, which the bindings encode and decode natively. When the component is made, its type
// sections are told what these really are. (An s64 that goes out is a BigInt64Array, which is copied as it is.)

const ANSWER = `
  variant answer-values {
    text(texts),
    bytes(blobs),
    int64(list<s64>),
    float64(list<f64>),
    boolean(list<u8>),
    timestamp(list<s64>),
    json(texts),
  }

  record answer-column {
    name: string,
    present: option<octets>,
    values: answer-values,
  }
`;

/** What stands in the contract, and in the guest's world instead. */
const OTHER = [
  // Named, so that each scope defines it before the texts.
  ['  record blobs {\n    data: list<u8>,', '  type octets = list<u8>;\n\n  record blobs {\n    data: octets,'],
  ['  /// The values of one column,', '  record texts {\n    data: string,\n    ends: list<u32>,\n  }\n\n  /// The values of one column,'],
  ['    text(blobs),', '    text(texts),'],
  ['    json(blobs),', '    json(texts),'],
  ['    int64(list<s64>),', '    int64(list<tuple<u32, u32>>),'],
  ['    timestamp(list<s64>),', '    timestamp(list<tuple<u32, u32>>),'],
  ['    present: option<list<u8>>,', '    present: option<octets>,'],
  ['  use columns.{batch, column};\n', `  use columns.{batch, octets, blobs, texts};\n${ANSWER}`],
  ['    set: list<column>,', '    set: list<answer-column>,'],
];

/** The guest's world, made of the contract, and of what of the same package a plugin may export besides. */
export function guestWorld(contract, state) {
  for (const [ours, other] of OTHER) {
    if (contract.split(ours).length !== 2) throw new Error(`the contract has not one ${JSON.stringify(ours)}`);
    contract = contract.replace(ours, other);
  }
  return contract + state.replace(/^package .*;$/m, '');
}

const COMPONENT = 4;
const TYPE = 7;
/** `tuple<u32, u32>`, as a type section has it. */
const PAIR = [0x6f, 2, 0x79, 0x79];
/** A record of two fields, of which the first is `data`, up to the type of that. */
const DATA = [0x72, 2, 4, 0x64, 0x61, 0x74, 0x61];
const LIST = 0x70;
const STRING = 0x73;
const S64 = 0x78;

/**
 * Gives the types of a component, which was made for the guest's world, the names that the contract has for them, in place: each is
 * one byte as before. Throws where the component is not as the pinned componentize-qjs makes it.
 */
export function asTheContract(component) {
  const renamed = { s64: 0, texts: 0 };
  walk(component, 0, component.length, renamed);
  // What it imports; what its inner component does; and what that one's functions take and give. With stubs for WASI all of it
  // lies in one component more, which imports the same.
  if (renamed.s64 !== renamed.texts || renamed.s64 < 3 || renamed.s64 > 4) throw new Error(`a component of another make: ${JSON.stringify(renamed)}`);
  return component;
}

function walk(bytes, start, end, renamed) {
  let octets;
  const texts = [];
  // Behind the magic and the version.
  for (let at = start + 8; at < end; ) {
    const id = bytes[at];
    const [size, from] = unsigned(bytes, at + 1);
    const to = from + size;
    if (id === COMPONENT) walk(bytes, from, to, renamed);
    if (id === TYPE) {
      for (const pair of find(bytes, PAIR, from, to)) {
        // In the types of an interface each definition stands behind a 1.
        const list = bytes[pair] === 1 ? pair + 1 : pair;
        if (bytes[list] !== LIST) throw new Error('a component of another make: no list behind the pair');
        bytes[list + 1] = S64;
        renamed.s64++;
      }
      const data = find(bytes, DATA, from, to);
      const own = data.find((place) => bytes[place] !== STRING);
      const strings = data.filter((place) => bytes[place] === STRING);
      if (own !== undefined && strings.length > 0) {
        // An interface, which is a scope of its own.
        for (const place of strings) bytes[place] = bytes[own];
        renamed.texts += strings.length;
      } else {
        if (own !== undefined) octets = bytes[own];
        texts.push(...strings);
      }
    }
    at = to;
  }
  if (texts.length > 0 && octets === undefined) throw new Error('a component of another make: no type for bytes');
  for (const place of texts) bytes[place] = octets;
  renamed.texts += texts.length;
}

/** Where these bytes end, each time that they stand there. */
function find(bytes, wanted, from, to) {
  const found = [];
  for (let at = from; at + wanted.length < to; at++) {
    if (wanted.every((byte, place) => bytes[at + place] === byte)) found.push(at + wanted.length);
  }
  return found;
}

/** An unsigned LEB128, and where it ends. */
function unsigned(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
}
