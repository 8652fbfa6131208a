// UTF-8 and UTF-16, without TextDecoder, which QuickJS does not have.

/** A surrogate without its other half. */
export const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const HAS_LONE = new RegExp(LONE.source);
const NOT_ASCII = /[^\x00-\x7f]/;

export const isAscii = (text) => !NOT_ASCII.test(text);

/** Whether UTF-8 holds a text: not where a lone surrogate is in it. */
export const isWellFormed = (text) => !HAS_LONE.test(text);

/** The text with U+FFFD for each lone surrogate. */
export const wellFormed = (text) => (isAscii(text) ? text : text.replace(LONE, '\ufffd'));

/** How many bytes a text takes. */
export function length(text) {
  if (isAscii(text)) return text.length;
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    // Each half of a pair counts two.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

/** The pieces of a text that end at these bytes of its UTF-8. */
export function cut(text, ends) {
  const rows = ends.length;
  const pieces = new Array(rows);
  let start = 0;
  if (rows === 0 || ends[rows - 1] === text.length) {
    // Nothing but ASCII has as many bytes as units.
    for (let row = 0; row < rows; row++) {
      const end = ends[row];
      pieces[row] = text.slice(start, end);
      start = end;
    }
    return pieces;
  }
  let unit = 0;
  for (let row = 0; row < rows; row++) {
    const bytes = ends[row] - start;
    start = ends[row];
    let piece = text.slice(unit, unit + bytes);
    if (!isAscii(piece)) {
      let left = bytes;
      let units = 0;
      while (left > 0) {
        const code = piece.charCodeAt(units++);
        left -= code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 2 : 3;
      }
      piece = piece.slice(0, units);
    }
    unit += piece.length;
    pieces[row] = piece;
  }
  return pieces;
}

/** The UTF-8 of a text; a lone `\udc80` to `\udcff` is the one byte that it stands for, any other U+FFFD. */
export function encode(text) {
  const out = [];
  for (const char of text) {
    let code = char.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) {
      out.push(code & 0xff);
      continue;
    }
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x80) out.push(code);
    else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else out.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return Uint8Array.from(out);
}

/** The text of UTF-8. What is none becomes U+FFFD, or, with `escape`, the lone `\udc00` plus each byte. */
export function decode(bytes, escape = false) {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at];
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      at++;
      continue;
    }
    const size = lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xc2 && lead < 0xe0 ? 2 : 0;
    let code = size === 4 ? lead & 7 : size === 3 ? lead & 15 : lead & 31;
    let good = size > 0 ? 1 : 0;
    while (good > 0 && good < size) {
      const next = bytes[at + good];
      // Surrogates, what is longer than it need be and what lies past U+10FFFF show in the second byte.
      const low = good === 1 && (lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80) || 0x80;
      const high = good === 1 && (lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf) || 0xbf;
      if (next === undefined || next < low || next > high) break;
      code = (code << 6) | (next & 63);
      good++;
    }
    if (good === size && size > 0) {
      text += String.fromCodePoint(code);
    } else {
      good = Math.max(good, 1);
      for (let byte = at; escape && byte < at + good; byte++) text += String.fromCharCode(0xdc00 | bytes[byte]);
      if (!escape) text += '\ufffd';
    }
    at += good;
  }
  return text;
}
