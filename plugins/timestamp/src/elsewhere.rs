//! Formats of times as other programs write them, in the terms of this one.

/// What others call a format.
const NAMES: &[(&[&str], &str)] = &[
    (&["iso8601", "iso", "rfc3339nano", "iso8601_local", "strict_date_optional_time"], "rfc3339"),
    (&["unix", "unix_s", "unixtime", "unix_timestamp", "epoch", "epoch_second", "seconds"], "epoch_s"),
    (&["unix_ms", "unixms", "unix_timestamp_ms", "epoch_millis", "milliseconds"], "epoch_ms"),
    (&["unix_us", "unix_timestamp_us", "epoch_micros", "microseconds"], "epoch_us"),
    (&["unix_ns", "unix_timestamp_ns", "epoch_nanos", "nanoseconds"], "epoch_ns"),
    (&["apache", "common", "nginx", "httpdate"], "clf"),
];

/// Go's reference time, and strptime's directives. What begins alike stands with the longest first.
const GO: &[(&str, &str)] = &[
    ("2006", "%Y"),
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("Z07:00", "%:z"),
    ("-07:00", "%:z"),
    ("Z0700", "%z"),
    ("-0700", "%z"),
    (".000000000", ".%f"),
    (".000000", ".%f"),
    (".000", ".%f"),
    (",000", ",%f"),
    ("01", "%m"),
    ("02", "%d"),
    ("_2", "%e"),
    ("15", "%H"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("PM", "%p"),
];

/// How a format that is none is written here, if it is one of another program: Logstash's and Elastic's names, Go's layouts
/// (<https://pkg.go.dev/time#pkg-constants>) and Java's patterns
/// (<https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/time/format/DateTimeFormatter.html>).
pub fn translated(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase();
    let known = NAMES.iter().find(|(theirs, _)| theirs.contains(&&*name));
    known.map(|(_, ours)| (*ours).to_owned()).or_else(|| of_go(text)).or_else(|| of_java(text))
}

fn of_go(text: &str) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        match GO.iter().find(|(theirs, _)| rest.starts_with(theirs)) {
            Some((theirs, ours)) => {
                out.push_str(ours);
                rest = &rest[theirs.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    (out.contains("%Y") || out.contains("%b")).then_some(out)
}

fn of_java(text: &str) -> Option<String> {
    let mut out = String::new();
    for (at, part) in text.split('\'').enumerate() {
        // Between quotes stands text.
        if at % 2 == 1 {
            out.push_str(part);
            continue;
        }
        let mut rest = part;
        while let Some(first) = rest.chars().next() {
            let count = rest.chars().take_while(|c| *c == first).count();
            let (letters, behind) = rest.split_at(count * first.len_utf8());
            rest = behind;
            out.push_str(match (first, count) {
                ('y' | 'Y' | 'u', 2) => "%y",
                ('y' | 'Y' | 'u', _) => "%Y",
                ('M' | 'L', 4..) => "%B",
                ('M' | 'L', 3) => "%b",
                ('M' | 'L', _) => "%m",
                ('d', _) => "%d",
                ('D', _) => "%j",
                ('H', _) => "%H",
                ('h', _) => "%I",
                ('m', _) => "%M",
                ('s', _) => "%S",
                ('S', _) => "%f",
                ('E', 4..) => "%A",
                ('E', _) => "%a",
                ('a', _) => "%p",
                ('Z' | 'X' | 'x', 1 | 2) => "%z",
                ('Z' | 'X' | 'x', _) => "%:z",
                (letter, _) if letter.is_ascii_alphabetic() && letter != 'T' => return None,
                _ => letters,
            });
        }
    }
    out.contains('%').then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    #[test]
    fn formats_of_other_programs_are_known_and_each_is_one_here() {
        for (theirs, ours) in [
            ("ISO8601", "rfc3339"),
            ("UNIX_MS", "epoch_ms"),
            ("yyyy-MM-dd HH:mm:ss,SSS", "%Y-%m-%d %H:%M:%S,%f"),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", "%Y-%m-%dT%H:%M:%S%:z"),
            ("dd/MMM/yyyy:HH:mm:ss Z", "%d/%b/%Y:%H:%M:%S %z"),
            ("MMM dd HH:mm:ss", "%b %d %H:%M:%S"),
            ("2006-01-02T15:04:05Z07:00", "%Y-%m-%dT%H:%M:%S%:z"),
            ("02/Jan/2006:15:04:05.000 -0700", "%d/%b/%Y:%H:%M:%S.%f %z"),
            ("Jan _2 15:04:05", "%b %e %H:%M:%S"),
        ] {
            assert_eq!(translated(theirs).as_deref(), Some(ours), "{theirs}");
            assert!(Format::new(ours).is_ok(), "{ours}");
            let told = Format::new(theirs).unwrap_err().to_string();
            assert!(told.contains(&format!("did you mean {ours:?}?")), "{told}");
        }
        for none in ["", "clock", "rfc", "yesterday"] {
            let told = Format::new(none).unwrap_err().to_string();
            assert!(!told.contains("did you mean"), "{told}");
        }
    }
}
