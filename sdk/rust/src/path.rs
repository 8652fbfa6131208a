//! The names of fields: `kubernetes.labels.app` is the member `app` of `labels` of `kubernetes`.
//! A dot inside a name is written `\.`, and a backslash `\\`.

/// Appends a member's name to the path of its object.
pub fn push(path: &mut String, member: &str) {
    if !path.is_empty() {
        path.push('.');
    }
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
    fn only_whole_names_lie_below_a_path() {
        assert!(is_below("a.b.c", "a.b"));
        assert!(!is_below("a.bc", "a.b"));
        assert!(!is_below(r"a\.b", "a"));
        assert!(!is_below("a", "a"));
        assert!(overlap("a", "a") && overlap("a.b", "a") && overlap("a", "a.b") && !overlap("a.b", "a.c"));
    }
}
