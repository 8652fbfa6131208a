//! The rows that go on.

use arrow_array::cast::AsArray;
use arrow_array::{Array, UInt32Array};

use super::slot::Slot;
use crate::guest::Fault;
use crate::guest::answer::copies;
use crate::guest::limits::Bounds;

/// Takes the rows. Where one stands twice all of them must fit, as large as they are when they are written.
pub(super) fn rows(slots: &mut [Slot], take: &[u32], rows: usize, bounds: &Bounds) -> Result<(), Fault> {
    if copies(take, rows) > 0 {
        let sizes = sizes(slots, rows);
        let bytes = take.iter().map(|row| sizes[*row as usize]).fold(0, usize::saturating_add);
        if bytes > bounds.bytes {
            let most = bounds.bytes;
            return Err(Fault::nonsense(format_args!(
                "it takes rows so often that they would need {bytes} bytes; it may have {most}"
            )));
        }
    }
    let take = UInt32Array::from(take.to_vec());
    for slot in slots.iter_mut().filter(|slot| !slot.constant) {
        slot.array = arrow_select::take::take(&slot.array, &take, None).map_err(Fault::nonsense)?;
    }
    Ok(())
}

/// Bytes that each row needs with the names of its fields, constants included.
fn sizes(slots: &[Slot], rows: usize) -> Vec<usize> {
    let size = |slot: &Slot, row: usize| {
        let value = if let Some(text) = slot.array.as_string_opt::<i32>() {
            text.value_length(row) as usize
        } else if let Some(bytes) = slot.array.as_binary_opt::<i32>() {
            bytes.value_length(row) as usize
        } else {
            8
        };
        slot.name().len() + value + 8
    };
    let same = slots.iter().filter(|slot| slot.constant).map(|slot| size(slot, 0)).sum();
    let mut sizes = vec![same; rows];
    for slot in slots.iter().filter(|slot| !slot.constant) {
        for (row, sum) in sizes.iter_mut().enumerate().filter(|(row, _)| slot.array.is_valid(*row)) {
            *sum += size(slot, row);
        }
    }
    sizes
}
