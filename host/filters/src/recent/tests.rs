use super::*;
use crate::tests::messages;

#[test]
fn the_last_batches_are_kept_without_a_copy_and_as_they_came() {
    let recent = Recent::default();
    let batch = messages(&["a", "b"]);
    recent.see(&batch);
    let kept = recent.batches();
    let data = |records: &Records| records.columns().column(0).to_data().buffers()[1].as_ptr();
    assert_eq!((kept.len(), kept[0].rows()), (1, 2));
    assert_eq!(data(&kept[0]), data(&batch));
}

#[test]
fn what_is_kept_is_bounded_in_number_and_in_bytes() {
    let recent = Recent::default();
    for number in 0..MOST + 3 {
        recent.see(&messages(&[&number.to_string()]));
    }
    assert_eq!(recent.batches().len(), MOST);
    let recent = Recent::default();
    let large = "x".repeat(MOST_BYTES / 3);
    for _ in 0..MOST {
        recent.see(&messages(&[&large]));
        assert!(recent.0.lock().bytes <= MOST_BYTES);
    }
    assert!((1..=3).contains(&recent.batches().len()));
    recent.see(&messages(&[&"x".repeat(2 * MOST_BYTES)]));
    assert!(recent.batches().iter().all(|kept| kept.rows() == 1 && held(kept) <= MOST_BYTES));
}
