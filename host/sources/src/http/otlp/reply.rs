//! What a client of OTLP is answered: the messages of the protocol, in the encoding in which it asked.
//!
//! Source: OTLP specification, "OTLP/HTTP Response"; `logs_service.proto`; `google/rpc/status.proto` and `code.proto`.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

use super::{Encoding, Rejected};

/// The answer to a request of which all but these records are taken.
pub fn taken(encoding: Encoding, rejected: &Rejected) -> Response<Full<Bytes>> {
    let reason = rejected.reason.as_deref().unwrap_or_default();
    let body = match (encoding, rejected.count) {
        (Encoding::Json, 0) => b"{}".to_vec(),
        (Encoding::Json, count) => {
            // 64 bits are text in the JSON of protobuf.
            let partial = json!({"rejectedLogRecords": count.to_string(), "errorMessage": reason});
            json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
        (Encoding::Protobuf, 0) => Vec::new(),
        // ExportLogsServiceResponse: `partial_success = 1`, with `rejected_log_records = 1`, `error_message = 2`.
        (Encoding::Protobuf, count) => {
            let mut partial = Vec::new();
            put_number(1, count as u64, &mut partial);
            put_bytes(2, reason.as_bytes(), &mut partial);
            let mut whole = Vec::new();
            put_bytes(1, &partial, &mut whole);
            whole
        }
    };
    response(encoding, StatusCode::OK, body)
}

/// An answer of 4xx or 5xx: a Status with this message.
pub fn refused(encoding: Encoding, status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let code = match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::REQUEST_TIMEOUT => 4,
        _ => 3,
    };
    let body = match encoding {
        Encoding::Json => json!({ "code": code, "message": message }).to_string().into_bytes(),
        Encoding::Protobuf => {
            let mut body = Vec::new();
            put_number(1, code, &mut body);
            put_bytes(2, message.as_bytes(), &mut body);
            body
        }
    };
    response(encoding, status, body)
}

fn response(encoding: Encoding, status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let kind = match encoding {
        Encoding::Json => "application/json",
        Encoding::Protobuf => "application/x-protobuf",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn put_number(field: u64, number: u64, out: &mut Vec<u8>) {
    put_varint(field << 3, out);
    put_varint(number, out);
}

pub(super) fn put_bytes(field: u64, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(field << 3 | 2, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
