//! What is done to whole columns when a filter's answer meets what is there: repeat, mask, convert, merge.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, StringArray, make_array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::ArrowError;

pub use super::guest::answer::present;
use flitch_core::batch::Kind;
pub use flitch_core::batch::convert::value;
pub use flitch_core::batch::convert::{common_kind, convert, repeat};

/// The values of `array` in the rows whose bit is set in `keep`; the others have none.
pub fn mask(array: &ArrayRef, keep: &BooleanBuffer) -> ArrayRef {
    let keep = NullBuffer::new(keep.clone());
    let nulls = NullBuffer::union(array.nulls(), Some(&keep));
    let data = array.to_data().into_builder().nulls(nulls);
    // SAFETY: only the bitmap of nulls is new, and it has as many bits as the array has rows.
    make_array(unsafe { data.build_unchecked() })
}

/// Whether no row has a value.
pub fn is_empty(array: &ArrayRef) -> bool {
    array.null_count() == array.len()
}

/// For each row the value of `over` where it has one, else that of `under`; and the kind of the whole.
pub fn merge(over: (Kind, &ArrayRef), under: (Kind, &ArrayRef)) -> Result<(Kind, ArrayRef), ArrowError> {
    if over.1.null_count() == 0 {
        return Ok((over.0, over.1.clone()));
    }
    let has = present(over.1);
    let rest = mask(under.1, &!&has);
    if is_empty(&rest) {
        return Ok((over.0, over.1.clone()));
    }
    let kind = common_kind(&[over, (under.0, &rest)]);
    let over = convert(over.1, over.0, kind);
    let under = convert(&rest, under.0, kind);
    let both = arrow_select::zip::zip(&BooleanArray::new(has, None), &over, &under)?;
    Ok((kind, both))
}

/// A json column of these texts.
pub fn json(texts: Vec<Option<String>>) -> ArrayRef {
    Arc::new(StringArray::from(texts))
}
