use proptest::prelude::*;

use super::*;

type Read = Result<(i64, Stream, bool, String, String), &'static str>;

fn read(line: &str) -> Read {
    let (mut stamps, mut scratch) = (Stamps::default(), vec![b'x'; 3]);
    let entry = entry(line.as_bytes(), &mut stamps, &mut scratch)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok((entry.time, entry.stream, entry.partial, text(entry.text), text(entry.attrs)))
}

const TIME: i64 = 1_580_464_800_100_000_000;

fn is(stream: Stream, partial: bool, text: &str, attrs: &str) -> Read {
    Ok((TIME, stream, partial, text.to_owned(), attrs.to_owned()))
}

#[test]
fn a_line_is_read_as_docker_writes_it_and_as_others_do() {
    for (line, want) in [
        (
            r#"{"log":"one\n","stream":"stdout","time":"2020-01-31T10:00:00.1Z"}"#,
            is(Stream::Out, false, "one", ""),
        ),
        (
            r#"{"log":"half","stream":"stderr","time":"2020-01-31T10:00:00.1Z"}"#,
            is(Stream::Err, true, "half", ""),
        ),
        (r#"{"log":"a\r\n","time":"2020-01-31T10:00:00.1Z"}"#, is(Stream::Unnamed, false, "a", "")),
        (
            r#"{"log":"\u003c\"\\\u00e9\ud83d\ude00\t\n","stream":"stdout","time":"2020-01-31T10:00:00.1Z"}"#,
            is(Stream::Out, false, "<\"\\é😀\t", ""),
        ),
        (
            r#"{"log":"x\n","stream":"stdout","attrs":{"a":"}\"","b":{}},"time":"2020-01-31T10:00:00.1Z"}"#,
            is(Stream::Out, false, "x", r#"{"a":"}\"","b":{}}"#),
        ),
        (
            r#" { "time": "2020-01-31T10:00:00.1Z", "stream": "stderr", "attrs": {"a": 1}, "log": "x\ny\n" } "#,
            is(Stream::Err, false, "x\ny", r#"{"a": 1}"#),
        ),
        // Half of a character is none, whoever has written it.
        (
            r#"{"log":"a\ud83d b\ude00\ud83d\ud83d\ude00\n","stream":"stdout","time":"2020-01-31T10:00:00.1Z"}"#,
            is(Stream::Out, false, "a\u{fffd} b\u{fffd}\u{fffd}😀", ""),
        ),
        (
            r#"{"log": "a\ud83d b\ude00\ud83d\ud83d\ude00\n", "time": "2020-01-31T10:00:00.1Z"}"#,
            is(Stream::Unnamed, false, "a\u{fffd} b\u{fffd}\u{fffd}😀", ""),
        ),
        // Members that Docker does not write say nothing, wherever they stand and whatever they are.
        (
            r#"{"log":"x\n","stream":"stdout","time":"2020-01-31T10:00:00.1Z","n":"1"}"#,
            is(Stream::Out, false, "x", ""),
        ),
        (
            r#"{"log":"x\n","stream":"stdout","time":"2020-01-31T10:00:00.1Z","n":1}"#,
            is(Stream::Out, false, "x", ""),
        ),
        (
            r#"{"log":"x\n","n":"1","stream":"stdout","time":"2020-01-31T10:00:00.1Z"}"#,
            is(Stream::Out, false, "x", ""),
        ),
        (
            r#"{"log":"x\n","stream":"stdout","attrs":{"a":"b"},"time":"2020-01-31T10:00:00.1Z","attrs2":{"c":"d"}}"#,
            is(Stream::Out, false, "x", r#"{"a":"b"}"#),
        ),
        (r#"{"log":"\n","stream":"stdout","time":"2020-01-31T10:00:00.1Z"}"#, is(Stream::Out, false, "", "")),
        (
            "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2020-01-31T10:00:00.1Z\"}\r",
            is(Stream::Out, false, "x", ""),
        ),
    ] {
        assert_eq!(read(line), want, "{line}");
    }
}

#[test]
fn what_is_no_such_line_is_told_why() {
    let form = "it is no JSON object with the texts `log` and `time`";
    for (line, why) in [
        ("", form),
        ("text", form),
        ("{}", form),
        (r#"{"log":"x\n","time":1}"#, form),
        (r#"{"log":"x\n","stream":"stdout","time":"2020-01-31T10:00:00.1Z"}}"#, form),
        (r#"{"log":"\ud83\n","stream":"stdout","time":"2020-01-31T10:00:00.1Z"}"#, form),
        (r#"{"log":1, "stream":"stdout","time":"2020-01-31T10:00:00.1Z"}"#, form),
        (r#"{"log":null, "stream":"stdout","time":"2020-01-31T10:00:00.1Z"}"#, form),
        (r#"{"log":"x\n","stream":"stdout","time":"now"}"#, "its `time` is no RFC 3339 time"),
        (
            r#"{"log":"x\n","stream":"stdin","time":"2020-01-31T10:00:00.1Z"}"#,
            "its `stream` is neither stdout nor stderr",
        ),
        (r#"{"log":"x\n","attrs":[1],"time":"2020-01-31T10:00:00.1Z"}"#, "its `attrs` is no object"),
        (r#"{"log":"x\n","attrs":{"a"},"time":"2020-01-31T10:00:00.1Z"}"#, "its `attrs` is no JSON"),
    ] {
        assert_eq!(read(line), Err(why), "{line}");
    }
}

proptest! {
    #[test]
    fn any_text_comes_out_of_its_escapes(text in "(\\PC|[\n\r\t\\\\\"\u{0}-\u{1f}]){0,120}", pretty in any::<bool>()) {
        let mut log = serde_json::to_string(&text).unwrap();
        if pretty {
            log = log.replace('é', "\\u00E9").replace('/', "\\/");
        }
        let line = format!(r#"{{"log":{log},"stream":"stdout","time":"2020-01-31T10:00:00.1Z"}}"#);
        let whole = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
        prop_assert_eq!(read(&line), is(Stream::Out, whole.is_none(), whole.unwrap_or(&text), ""));
    }

    #[test]
    fn a_line_cut_anywhere_is_no_entry_and_no_panic(
        at in 0..150usize,
        byte in any::<u8>(),
        attrs in any::<bool>(),
    ) {
        let attrs = if attrs { r#""attrs":{"a":"\"}"},"# } else { "" };
        let line = format!(
            r#"{{"log":"\u003c\"\\\u00e9\ud83d\ude00\t\n","stream":"stdout",{attrs}"time":"2020-01-31T10:00:00.1Z"}}"#
        );
        let mut bytes = line.as_bytes().to_vec();
        let at = at % bytes.len();
        let (mut stamps, mut scratch) = (Stamps::default(), Vec::new());
        prop_assert!(entry(&bytes[..at], &mut stamps, &mut scratch).is_err());
        prop_assert!(alone(&bytes[..at], 1 << 20, 1 << 20, &mut stamps, &mut None, &mut scratch).is_none());
        bytes[at] = byte;
        // Whatever it is now, both readers agree on its text.
        let mut other = Vec::new();
        let slow = in_any_form(&bytes, &mut stamps.clone(), &mut other).map(|e| (e.text.to_vec(), e.partial));
        bytes.push(b'\n');
        let mut text = b"before".to_vec();
        let alone = alone(&bytes, 1 << 20, 1 << 20, &mut stamps.clone(), &mut None, &mut text);
        bytes.pop();
        if let Some(alone) = alone {
            let entry = entry(&bytes, &mut stamps.clone(), &mut scratch).unwrap();
            prop_assert_eq!((alone.time, alone.stream, alone.length), (entry.time, entry.stream, bytes.len() + 1));
            prop_assert_eq!((&text[6..], false, &b""[..]), (entry.text, entry.partial, entry.attrs));
        }
        if let (Ok(fast), Ok(slow)) = (entry(&bytes, &mut stamps, &mut scratch), slow) {
            prop_assert_eq!((fast.text.to_vec(), fast.partial), slow);
        }
    }
}
