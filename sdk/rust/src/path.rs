//! The names of fields: `kubernetes.labels.app` is the member `app` of `labels` of `kubernetes`. A dot inside a name is
//! written `\.`, a backslash `\\`, and a lone surrogate, which JSON allows and UTF-8 does not, `\ud800`.

pub use flitch_model::path::{
    and_above, check_exact, contradiction, is_below, names as split, overlap, push,
};
