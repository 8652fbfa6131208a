//! The names of fields: `kubernetes.labels.app` is the member `app` of `labels` of `kubernetes`.
//! A dot inside a name is written `\.`, and a backslash `\\`.

/// Appends a member's name to the path of its object.
pub fn push(path: &mut String, member: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    push_name(path, member);
}

/// Appends a member's name that is escaped already.
pub(crate) fn push_escaped(path: &mut String, member: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(member);
}

/// Appends a name, or a part of one, escaped.
pub(crate) fn push_name(path: &mut String, member: &str) {
    if member.contains(['.', '\\']) {
        for c in member.chars() {
            if matches!(c, '.' | '\\') {
                path.push('\\');
            }
            path.push(c);
        }
    } else {
        path.push_str(member);
    }
}

/// The members' names along a path.
pub fn split(path: &str) -> Vec<String> {
    let mut members = vec![String::new()];
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => members.push(String::new()),
            '\\' => last(&mut members).push(chars.next().unwrap_or('\\')),
            c => last(&mut members).push(c),
        }
    }
    members
}

fn last(members: &mut [String]) -> &mut String {
    let at = members.len() - 1;
    &mut members[at]
}

/// Whether `path` lies below `above`: a member of the object there, at any depth.
pub fn is_below(path: &str, above: &str) -> bool {
    path.len() > above.len() && path.starts_with(above) && path.as_bytes()[above.len()] == b'.'
}

/// A path and those above it, from the innermost.
pub fn and_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |inner| {
        let mut escaped = false;
        let dots = inner.bytes().enumerate().filter(|(_, byte)| {
            let dot = *byte == b'.' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            dot
        });
        dots.last().map(|(at, _)| &inner[..at])
    })
}

/// Two of these paths of which one is, or lies below, the other.
pub fn contradiction<'a>(paths: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut before: Vec<&str> = Vec::new();
    for path in paths {
        if let Some(other) = before.iter().find(|other| overlap(other, path)) {
            return Some((other, path));
        }
        before.push(path);
    }
    None
}

/// Whether one of two paths is, or lies below, the other.
pub fn overlap(a: &str, b: &str) -> bool {
    a == b || is_below(a, b) || is_below(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_in_a_name_does_not_split_it() {
        let mut path = String::new();
        for member in ["labels", "app.kubernetes.io/name", r"back\slash", ""] {
            push(&mut path, member);
        }
        assert_eq!(path, r"labels.app\.kubernetes\.io/name.back\\slash.");
        assert_eq!(split(&path), ["labels", "app.kubernetes.io/name", r"back\slash", ""]);
    }

    #[test]
    fn a_path_lies_below_those_of_its_names() {
        assert_eq!(and_above(r"a\.b.c\\.d").collect::<Vec<_>>(), [r"a\.b.c\\.d", r"a\.b.c\\", r"a\.b"]);
        assert_eq!(contradiction(["a", "b.c", "ab", "b"]), Some(("b.c", "b")));
        assert_eq!(contradiction(["a", "b.c", "b.d"]), None);
    }

    #[test]
    fn only_whole_names_lie_below_a_path() {
        assert!(is_below("a.b.c", "a.b"));
        assert!(!is_below("a.bc", "a.b"));
        assert!(!is_below(r"a\.b", "a"));
        assert!(!is_below("a", "a"));
        assert!(overlap("a", "a") && overlap("a.b", "a") && overlap("a", "a.b") && !overlap("a.b", "a.c"));
    }
}
