//! What expressions of Ruby, in which Logstash's patterns are written, say in other words than Rust's.

/// Appends an expression in Rust's words: `m` lets a dot match the end of a line, which is `s` here, `\h` is a hexadecimal digit,
/// `\Z` the end of the text or the line end there, `\<` a sign, and `(?#…)` a comment. Atomic groups say how to search, and not what matches as
/// a rule. `names` may give a group with a name another one.
pub fn append(text: &str, out: &mut String, mut names: impl FnMut(&str) -> Option<String>) {
    let mut rest = text;
    let mut depth = 0_usize;
    while let Some(at) = rest.find(['\\', '[', ']', '(']) {
        let (before, sign) = rest.split_at(at);
        let behind = &sign[1..];
        out.push_str(before);
        rest = match sign.as_bytes()[0] {
            b'\\' => escape(behind, depth > 0, out),
            b'[' => {
                depth += 1;
                // A bracket at the beginning of a class is one of its characters.
                let negated = usize::from(behind.starts_with('^'));
                let end = 1 + negated + usize::from(behind[negated..].starts_with(']'));
                out.push_str(&sign[..end]);
                &sign[end..]
            }
            b'(' if depth == 0 => group(behind, out, &mut names),
            other => {
                depth = depth.saturating_sub(usize::from(other == b']'));
                out.push_str(&sign[..1]);
                behind
            }
        };
    }
    out.push_str(rest);
}

/// What stands behind a backslash, and what comes after that.
fn escape<'a>(text: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let end = text.chars().next().map_or(0, char::len_utf8);
    let (escaped, rest) = text.split_at(end);
    match (escaped, in_class) {
        ("h", true) => out.push_str("0-9A-Fa-f"),
        ("h", false) => out.push_str("[0-9A-Fa-f]"),
        ("H", _) => out.push_str("[^0-9A-Fa-f]"),
        ("Z", false) => out.push_str(r"(?:\n?\z)"),
        // Signs that have no meaning. Behind a backslash they are the bounds of a word to Rust.
        ("<" | ">", _) => out.push_str(escaped),
        (other, _) => {
            out.push('\\');
            out.push_str(other);
        }
    }
    rest
}

/// What stands behind an opening parenthesis, as far as it says what kind of a group it is; and what comes after that.
fn group<'a>(text: &'a str, out: &mut String, names: &mut impl FnMut(&str) -> Option<String>) -> &'a str {
    if let Some(inside) = text.strip_prefix("?>") {
        out.push_str("(?:");
        return inside;
    }
    if let Some((_, rest)) = text.strip_prefix("?#").and_then(|comment| comment.split_once(')')) {
        return rest;
    }
    let named = text.strip_prefix("?<").or_else(|| text.strip_prefix("?P<"));
    if let Some((name, rest)) = named.and_then(|named| named.split_once('>'))
        && let Some(name) = names(name)
    {
        out.push_str(&format!("(?<{name}>"));
        return rest;
    }
    out.push('(');
    let Some(flags) = text.strip_prefix('?') else { return text };
    let is_flag = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'-';
    let end = flags.bytes().take_while(is_flag).count();
    if !matches!(flags.as_bytes().get(end), Some(b':' | b')')) {
        return text;
    }
    out.push('?');
    out.push_str(&flags[..end].replace('m', "s"));
    &flags[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(text: &str) -> String {
        let mut out = String::new();
        append(text, &mut out, |_| None);
        out
    }

    #[test]
    fn a_dot_matches_ends_of_lines_where_ruby_says_so() {
        for (ruby, wanted) in [
            ("(?m)a.", "(?s)a."),
            ("(?mi:a)(?i-m:b)", "(?si:a)(?i-s:b)"),
            ("(?:m)(m)(?<m>m)(?P<m>m)", "(?:m)(m)(?<m>m)(?P<m>m)"),
            (r"\(?m)[(?m)]", r"\(?m)[(?m)]"),
            ("[](?m)][^](?m)](?m)", "[](?m)][^](?m)](?s)"),
            ("[[:alpha:](?m)](?m)", "[[:alpha:](?m)](?s)"),
        ] {
            assert_eq!(rust(ruby), wanted, "{ruby}");
        }
    }

    #[test]
    fn groups_with_names_are_named_anew() {
        let mut out = String::new();
        append(r"(?<a>x(?P<[b][c]>y))(?<=z)\(?<d>[(?<e>]", &mut out, |name| {
            name.starts_with(['a', '[']).then(|| format!("g{}", name.len()))
        });
        assert_eq!(out, r"(?<g1>x(?<g6>y))(?<=z)\(?<d>[(?<e>]");
    }

    #[test]
    fn escapes_and_groups_of_ruby_are_told_in_other_words() {
        for (ruby, wanted) in [
            (r"\h+\H\\h", r"[0-9A-Fa-f]+[^0-9A-Fa-f]\\h"),
            (r"[\h-]", "[0-9A-Fa-f-]"),
            (r"a\Z", r"a(?:\n?\z)"),
            (r"\<a\>[\<]", "<a>[<]"),
            ("(?>a|b)", "(?:a|b)"),
            ("a(?#b)c", "ac"),
            ("a(?#b", "a(?#b"),
            (r"é\é(\", r"é\é(\"),
        ] {
            assert_eq!(rust(ruby), wanted, "{ruby}");
        }
    }
}
