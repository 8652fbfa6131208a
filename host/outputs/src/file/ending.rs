//! Whether a record could name a file that was rotated: then it would be written to, moved on and deleted as one.

/// What the name of a rotated file has behind its number.
const BEHIND: [&str; 3] = ["", ".gz", ".gz.part"];
/// Most numbers that are looked at.
const MOST: u32 = 10_000;

/// Whether two paths of this template, as it is written, can be such that one is the other rotated, of which `keep` are
/// kept.
pub(super) fn may_collide(template: &str, keep: u32) -> bool {
    let Some(ending) = ending(template) else { return false };
    (1..=keep.min(MOST)).any(|number| {
        let rotated = |behind: &&str| format!("{ending}.{number}{behind}").ends_with(&ending);
        BEHIND.iter().any(rotated)
    })
}

/// What stands behind the last field of the name of the file; none where no record chooses the name. Times do not: no
/// format of them is another one's with a number behind it.
fn ending(template: &str) -> Option<String> {
    let (mut ending, mut chosen) = (String::new(), false);
    let mut rest = template;
    while let Some(sign) = rest.chars().next() {
        let after = &rest[sign.len_utf8()..];
        rest = after;
        match sign {
            '/' => (ending, chosen) = (String::new(), false),
            '{' if !after.starts_with('{') => {
                let (field, behind) = after.split_once('}').unwrap_or((after, ""));
                let is_time = field.split('|').next().unwrap_or(field).contains(':');
                chosen |= !is_time;
                ending.clear();
                rest = behind;
            }
            // Braces of the text itself are doubled.
            '{' | '}' => {
                ending.push(sign);
                rest = after.strip_prefix(sign).unwrap_or(after);
            }
            sign => ending.push(sign),
        }
    }
    chosen.then_some(ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_a_record_can_end_as_a_rotated_one_does_is_known() {
        for (template, keep, collides) in [
            ("/d/{app}", 2, true),
            ("/d/{app}", 0, false),
            ("/d/{app}.log", 7, false),
            ("/d/{app}.1", 7, true),
            ("/d/{app}.9", 7, false),
            ("/d/{app}-2", 7, false),
            ("/d/{app}2", 7, true),
            ("/d/{app}.gz", 1, true),
            ("/d/{app}.part", 1, true),
            ("/d/{app}/log", 7, false),
            ("/d/{app}/{name}", 7, true),
            ("/d/{app|a.log}", 7, true),
            ("/d/all.1", 7, false),
            ("/d/{app}/{@timestamp:%Y-%m-%d}", 7, false),
            ("/d/{app}{@timestamp:%d}", 7, true),
            ("/d/{@timestamp:%Y/%m}", 7, false),
            ("/d/{app}{{x}}", 7, false),
        ] {
            assert_eq!(may_collide(template, keep), collides, "{template} {keep}");
        }
    }
}
