//! What the header of a request says about its body.

use encoding_rs::{Encoding as Charset, REPLACEMENT, UTF_8};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};

use super::HttpCodec;
use super::answer::Answer;
use super::otlp::{Encoding, PATH};
use crate::packed;
use flitch_core::net::expand::Coding;

/// Most content encodings, one inside the other: what a client or a proxy adds is one each.
const MOST_CODINGS: usize = 2;

/// The content encodings of a body and those of its transfer, in the order in which they were applied: several header lines are
/// one list (RFC 9110, sections 5.3 and 8.4; RFC 9112, section 6.1). That it comes in chunks is undone already.
pub fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Answer> {
    let mut codings = Vec::new();
    for line in headers.get_all(CONTENT_ENCODING).iter().chain(headers.get_all(TRANSFER_ENCODING)) {
        let line = String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase();
        for name in line.split(',').map(str::trim) {
            codings.push(match name {
                "" | "identity" | "chunked" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "zstd" => Coding::Zstd,
                other => return Err(Answer::UnknownEncoding(other.to_owned())),
            });
        }
    }
    if codings.len() > MOST_CODINGS {
        let text =
            format!("the body has {} content encodings; at most {MOST_CODINGS} are undone", codings.len());
        return Err(Answer::Unsupported(text));
    }
    Ok(codings)
}

/// What a body holds, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON or lines.
    Text,
    /// Events of MessagePack.
    MessagePack,
    /// A request of OTLP.
    Otlp(Encoding),
}

/// What a body at the path of OTLP holds: a request of it, in one encoding or the other, by its header. Anything else is refused
/// rather than guessed at: a client that means OTLP and says something else would have its requests taken for lines, and another
/// one its records for a request without any.
pub fn otlp(headers: &HeaderMap) -> Result<Form, Answer> {
    let (name, _) = content_type(headers);
    match &*name {
        "application/x-protobuf" | "application/protobuf" => Ok(Form::Otlp(Encoding::Protobuf)),
        "application/json" => Ok(Form::Otlp(Encoding::Json)),
        _ => {
            let said = if name.is_empty() { "no content type".to_owned() } else { format!("`{name}`") };
            Err(Answer::Unsupported(format!(
                "{said} at {PATH}, which takes logs of OpenTelemetry: send application/x-protobuf or application/json, and other \
                 records to another path (or set `otlp: false`)"
            )))
        }
    }
}

/// What a body holds that is no request of OTLP. One that is known not to be read is refused before it is read.
pub fn form(headers: &HeaderMap) -> Result<Form, Answer> {
    let (name, _) = content_type(headers);
    if matches!(&*name, "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack") {
        return Ok(Form::MessagePack);
    }
    if is_binary(&name) {
        let text = format!(
            "`{name}` is not read here: send JSON (application/json, application/x-ndjson), application/msgpack or text"
        );
        return Err(Answer::Unsupported(text));
    }
    Ok(Form::Text)
}

/// The charset of a body of text; none where it is UTF-8, of which US-ASCII is a part. JSON in another is against
/// RFC 8259 (section 8.1), and read all the same, as nothing else can be meant. One that is not known is refused before
/// the body is read.
pub fn charset(headers: &HeaderMap) -> Result<Option<&'static Charset>, Answer> {
    let (_, name) = content_type(headers);
    if matches!(&*name, "" | "us-ascii" | "ascii") {
        return Ok(None);
    }
    match Charset::for_label(name.as_bytes()) {
        Some(charset) if charset == UTF_8 => Ok(None),
        Some(charset) if charset != REPLACEMENT => Ok(Some(charset)),
        _ => Err(Answer::Unsupported(format!("the charset `{name}` is not read here: send UTF-8"))),
    }
}

/// The charset of a text of which the header names none, or UTF-8, and whose byte order mark is that of UTF-16: the mark goes
/// before the header (<https://encoding.spec.whatwg.org/#decode>).
pub fn marked(form: Form, text: &[u8]) -> Option<&'static Charset> {
    let is_text = matches!(form, Form::Text | Form::Otlp(Encoding::Json));
    let (charset, _) = Charset::for_bom(text).filter(|_| is_text)?;
    (charset != UTF_8).then_some(charset)
}

/// How to read a body. With `auto` it is JSON where the content type says so or the body begins as JSON does,
/// otherwise lines. One that is compressed, and does not say so, would be lines that nobody wrote.
pub fn codec(codec: HttpCodec, headers: &HeaderMap, text: &[u8]) -> Result<HttpCodec, Answer> {
    if let Some(name) = packed::by(text) {
        let text = format!(
            "the body is compressed by {name}, and its header does not say so: send `Content-Encoding`, of which gzip, zstd and \
             deflate are read"
        );
        return Err(Answer::Unsupported(text));
    }
    if codec != HttpCodec::Auto {
        return Ok(codec);
    }
    let (name, _) = content_type(headers);
    if name.contains("json") || begins_as_json(text) {
        return Ok(HttpCodec::Json);
    }
    // curl --data says of whatever it sends that it is a form, so JSON may be called so; what is left is a form.
    if name == "application/x-www-form-urlencoded" && !text.is_empty() {
        let text = "a form is not read here: send JSON, or lines with `Content-Type: text/plain`";
        return Err(Answer::Unsupported(text.to_owned()));
    }
    Ok(HttpCodec::Lines)
}

/// Media type and charset in lower case; empty where they are not given.
fn content_type(headers: &HeaderMap) -> (String, String) {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let value = value.to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_owned();
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).unwrap_or_default();
    (name, charset.trim_matches('"').to_owned())
}

fn is_binary(name: &str) -> bool {
    let Some((kind, format)) = name.split_once('/') else { return false };
    if matches!(kind, "audio" | "font" | "image" | "multipart" | "video") {
        return true;
    }
    // `application/x-protobuf`, `application/vnd.google.protobuf`, `application/grpc+proto`
    const FORMATS: [&str; 15] = [
        "msgpack",
        "messagepack",
        "protobuf",
        "proto",
        "grpc",
        "cbor",
        "bson",
        "avro",
        "parquet",
        "thrift",
        "gzip",
        "zip",
        "zstd",
        "pdf",
        "tar",
    ];
    kind == "application" && format.split(['.', '-', '+']).any(|part| FORMATS.contains(&part))
}

/// Whether a text begins as an object or as an array of objects, behind white space and a byte order mark. A line of a
/// log may begin with `[` too.
fn begins_as_json(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    match text.split_first() {
        Some((b'{', _)) => true,
        Some((b'[', rest)) => match rest.trim_ascii_start().split_first() {
            Some((b'{', _)) => true,
            Some((b']', rest)) => rest.trim_ascii_start().is_empty(),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests;
