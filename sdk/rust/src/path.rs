//! The names of fields: `kubernetes.labels.app` is the member `app` of `labels` of `kubernetes`. A dot inside a name is
//! written `\.`, a backslash `\\`, and a lone surrogate, which JSON allows and UTF-8 does not, `\ud800`.

pub use flitch_model::path::{
    and_above, check_exact, contradiction, is_below, names as split, overlap, push,
};

/// The path that Logstash writes `[a][b]`; any other text as it is.
pub fn of_brackets(field: &str) -> String {
    let Some(inside) = field.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')) else {
        return field.to_owned();
    };
    let mut whole = String::new();
    inside.split("][").for_each(|name| push(&mut whole, name));
    whole
}
