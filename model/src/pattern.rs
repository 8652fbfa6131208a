//! Regular expressions that were written for another program, and say something else here.

/// Why an expression does not mean here what it means to the programs that most of them come from. None where it does.
///
/// What such a program can do and Rust's expressions cannot is refused as they are compiled. This is about what they take, and
/// read in another way, so that nothing would match and nobody be told.
#[must_use]
pub fn foreign(text: &str) -> Option<&'static str> {
    if text.starts_with("/^") || text.starts_with(r"/\A") {
        return Some(
            "the slash before its beginning is part of it, so that it matches nothing: write it without slashes",
        );
    }
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        if sign == '\\' && matches!(signs.next(), Some('<' | '>')) {
            return Some(
                r"`\<` and `\>` are the bounds of a word here, and signs to Ruby, Fluentd and Fluent Bit: write `<` and `>` for the signs, `\b{start}` and `\b{end}` for the bounds",
            );
        }
    }
    None
}

/// Whether an expression stands between slashes, as Ruby, Fluentd and Fluent Bit write one: `/^\d+/`, `/x/im`.
#[must_use]
pub fn is_between_slashes(text: &str) -> bool {
    let inside = text.strip_prefix('/').and_then(|text| text.rsplit_once('/'));
    inside.is_some_and(|(inside, flags)| {
        !inside.is_empty() && flags.bytes().all(|flag| b"imxo".contains(&flag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_otherwise_is_foreign_and_what_reads_alike_is_not() {
        for text in [r"^\<(?<pri>\d+)\>", r"a\\\<", r"[\<]", r"/^\d/", r"/\Ax/m"] {
            assert!(foreign(text).is_some(), "{text}");
        }
        for text in ["", r"^<(?<pri>\d+)>", r"a\\<b>", r"\b{start}a\b{end}", "^/api/", "/var/log/", r"\"] {
            assert!(foreign(text).is_none(), "{text}");
        }
    }

    #[test]
    fn slashes_around_an_expression_are_told_from_those_within() {
        for text in [r"/^\d/", r"/([a-z]+ \d+)(.*)/", "/a/im"] {
            assert!(is_between_slashes(text), "{text}");
        }
        for text in ["", "/", "//", "/a", "^/a/", "/a/b", "a/", "[/]a[/]"] {
            assert!(!is_between_slashes(text), "{text}");
        }
    }
}
