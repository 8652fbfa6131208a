use super::*;

fn read(line: &str) -> Result<(i64, Stream, bool, String), &'static str> {
    let mut stamps = Stamps::default();
    let entry = entry(line.as_bytes(), &mut stamps)?;
    assert!(!entry.cut && entry.attrs.is_empty());
    Ok((entry.time, entry.stream, entry.partial, String::from_utf8(entry.text.to_vec()).unwrap()))
}

#[test]
fn a_line_is_a_time_a_stream_tags_and_a_text() {
    let time = 1_475_713_029_669_794_202;
    let text = |text: &str| text.to_owned();
    for (line, want) in [
        ("2016-10-06T00:17:09.669794202Z stdout F one two", (time, Stream::Out, false, text("one two"))),
        ("2016-10-06T02:17:09.669794202+02:00 stderr P  a\r", (time, Stream::Err, true, text(" a\r"))),
        ("2016-10-06T00:17:09.669794202Z stdout F:x:y a:b\r", (time, Stream::Out, false, text("a:b"))),
        ("2016-10-06T00:17:09.669794202Z stdout F ", (time, Stream::Out, false, text(""))),
        ("2016-10-06T00:17:09.669794202Z stdout F", (time, Stream::Out, false, text(""))),
        ("2016-10-06T00:17:09Z stdout F  x", (time - 669_794_202, Stream::Out, false, text(" x"))),
        ("2016-10-06T00:17:09Z stdout F x", (time - 669_794_202, Stream::Out, false, text("x"))),
    ] {
        assert_eq!(read(line), Ok(want), "{line}");
    }
}

#[test]
fn what_is_no_such_line_is_told_why() {
    for (line, why) in [
        ("", "it has no space after a time"),
        ("2016-10-06T00:17:09.669794202Z", "it has no space after a time"),
        ("2016-10-06 00:17:09.669794202Z stdout F x", "it begins with no RFC 3339 time"),
        ("yesterday stdout F x", "it begins with no RFC 3339 time"),
        ("2016-10-06T00:17:09.669794202Z stdin F x", "its second word is neither stdout nor stderr"),
        ("2016-10-06T00:17:09.669794202Z stdout", "its second word is neither stdout nor stderr"),
        ("2016-10-06T00:17:09.669794202Z stdout text", "its third word is neither P nor F"),
        ("2016-10-06T00:17:09.669794202Z stdout Full", "its third word is neither P nor F"),
        ("2016-10-06T00:17:09.669794202Z stdout ", "its third word is neither P nor F"),
        ("2016-10-06T00:17:09.669794202Z stdout P:tag", "it has no space after its tags"),
    ] {
        assert_eq!(read(line), Err(why), "{line}");
    }
}
