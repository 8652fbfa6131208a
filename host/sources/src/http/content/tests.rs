use hyper::header::HeaderValue;

use super::*;

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn of_type(value: &'static str) -> HeaderMap {
    headers(&[("content-type", value)])
}

#[test]
fn all_lines_of_content_encodings_count_in_their_order() {
    let several = headers(&[("content-encoding", "gzip, identity"), ("content-encoding", " ZSTD ")]);
    assert_eq!(codings(&several), Ok(vec![Coding::Gzip, Coding::Zstd]));
    assert_eq!(codings(&headers(&[])), Ok(vec![]));
    let unknown = headers(&[("content-encoding", "gzip"), ("content-encoding", "br")]);
    assert_eq!(codings(&unknown), Err(Answer::UnknownEncoding("br".to_owned())));
    let transfer = headers(&[("transfer-encoding", "gzip, chunked"), ("content-encoding", "zstd")]);
    assert_eq!(codings(&transfer), Ok(vec![Coding::Zstd, Coding::Gzip]));
    let many = headers(&[("content-encoding", "gzip, gzip, gzip")]);
    assert!(matches!(codings(&many), Err(Answer::Unsupported(text)) if text.contains("3 content encodings")));
}

#[test]
fn a_body_that_is_known_to_be_no_text_is_refused_by_its_type() {
    for binary in [
        "application/x-protobuf",
        "application/vnd.google.protobuf; proto=io.prometheus.write.v2.Request",
        "application/protobuf",
        "application/grpc+proto",
        "application/cbor",
        "application/gzip",
        "image/png",
        "multipart/form-data; boundary=x",
    ] {
        assert!(matches!(form(&of_type(binary)), Err(Answer::Unsupported(_))), "{binary}");
    }
    for text in [
        "",
        "application/json; charset=utf-8",
        "application/vnd.api+json",
        "application/x-ndjson",
        "text/plain",
        "text/html; charset=iso-8859-1",
        "application/xml",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ] {
        assert_eq!(form(&of_type(text)), Ok(Form::Text), "{text}");
    }
    for packed in ["application/msgpack", "Application/X-MsgPack", "application/vnd.msgpack; a=b"] {
        assert_eq!(form(&of_type(packed)), Ok(Form::MessagePack), "{packed}");
    }
}

#[test]
fn a_charset_that_is_not_known_is_refused_by_its_name() {
    for utf8 in
        ["", "text/plain", "text/plain; charset=", "a/b;charset=\"UTF8\"", "text/plain; charset=US-ASCII"]
    {
        assert_eq!(charset(&of_type(utf8)), Ok(None), "{utf8}");
    }
    for (other, name) in [
        ("text/plain; charset=ISO-8859-1", "windows-1252"),
        ("application/json;charset=\"utf-16le\"", "UTF-16LE"),
        ("text/plain; format=flowed; charset=Shift_JIS", "Shift_JIS"),
    ] {
        assert_eq!(charset(&of_type(other)).unwrap().map(Charset::name), Some(name), "{other}");
    }
    for unknown in
        ["text/plain; charset=utf-32", "text/plain; charset=ebcdic", "text/plain; charset=hz-gb-2312"]
    {
        assert!(matches!(charset(&of_type(unknown)), Err(Answer::Unsupported(_))), "{unknown}");
    }
}

#[test]
fn a_request_of_otlp_is_known_by_its_type_and_another_is_told_what_to_send() {
    for (kind, encoding) in [
        ("application/x-protobuf", Some(Encoding::Protobuf)),
        ("application/json; charset=utf-8", Some(Encoding::Json)),
        ("application/x-ndjson", None),
        ("text/plain", None),
        ("", None),
    ] {
        match (otlp(&of_type(kind)), encoding) {
            (Ok(form), Some(encoding)) => assert_eq!(form, Form::Otlp(encoding), "{kind}"),
            (Err(Answer::Unsupported(text)), None) => {
                assert!(text.contains("application/x-protobuf"), "{text}")
            }
            (other, _) => panic!("{kind}: {other:?}"),
        }
    }
}

#[test]
fn auto_goes_by_the_content_type_and_then_by_how_the_body_begins() {
    let auto = |kind, text: &str| codec(HttpCodec::Auto, &of_type(kind), text.as_bytes());
    for kind in
        ["text/plain; charset=utf-8", "", "application/octet-stream", "application/x-www-form-urlencoded"]
    {
        for json in ["{\"a\":1}", "\u{feff} \r\n{}", "[{\"a\":1}]", "[]", " [\n {}]", "[ ]\n", "{"] {
            assert_eq!(auto(kind, json), Ok(HttpCodec::Json), "{kind} {json:?}");
        }
    }
    for line in ["[error] it broke", "[2026-01-01 10:00:00] up", "[] and more", "one {\"a\":1}", "", "["] {
        assert_eq!(auto("text/plain", line), Ok(HttpCodec::Lines), "{line}");
        assert_eq!(auto("", line), Ok(HttpCodec::Lines), "{line}");
        assert_eq!(auto("application/x-ndjson", line), Ok(HttpCodec::Json), "{line}");
    }
    assert_eq!(codec(HttpCodec::Lines, &of_type("application/json"), b"{}"), Ok(HttpCodec::Lines));
    assert_eq!(codec(HttpCodec::Json, &of_type("text/plain"), b"x"), Ok(HttpCodec::Json));
}

#[test]
fn a_form_is_no_line_of_a_log() {
    let form = of_type("application/x-www-form-urlencoded");
    let refused = codec(HttpCodec::Auto, &form, b"payload=%7B%7D");
    assert!(matches!(refused, Err(Answer::Unsupported(text)) if text.contains("text/plain")));
    assert_eq!(codec(HttpCodec::Auto, &form, b""), Ok(HttpCodec::Lines));
    assert_eq!(codec(HttpCodec::Lines, &form, b"payload=%7B%7D"), Ok(HttpCodec::Lines));
}
