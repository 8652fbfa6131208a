//! The forms in which a cluster and its storage answer.

use std::io::Read;

use serde_json::{Value, json};

use crate::http_server::Reply;

pub(super) fn reply(status: u16, body: &Value) -> Reply {
    let headers = vec![("Content-Type", "application/json".to_owned())];
    Reply { status, headers, body: body.to_string().into_bytes() }
}

/// An error in the form of the service.
pub(super) fn wrong(status: u16, code: &str, message: &str, permanent: bool) -> Reply {
    let error = json!({ "code": code, "message": "Request is invalid", "@type": "Kusto.Data.Exceptions.KustoException",
        "@message": message, "@permanent": permanent });
    let mut answer = reply(status, &json!({ "error": error }));
    if status == 429 {
        answer.headers.push(("Retry-After", "1".to_owned()));
    }
    answer
}

/// An error in the form of storage.
pub(super) fn of_storage(status: u16, code: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}\nRequestId:1</Message></Error>"
    );
    Reply { status, headers: vec![("x-ms-error-code", code.to_owned())], body: body.into_bytes() }
}

pub(super) fn table(columns: &[&str], rows: &[Vec<Value>]) -> Reply {
    let columns: Vec<Value> = columns
        .iter()
        .map(|name| json!({ "ColumnName": name, "DataType": "String", "ColumnType": "string" }))
        .collect();
    reply(200, &json!({ "Tables": [{ "TableName": "Table_0", "Columns": columns, "Rows": rows }] }))
}

pub(super) fn gunzipped(bytes: &[u8]) -> Vec<u8> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes.to_vec();
    }
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text).expect("gzip");
    text
}
