use super::*;

#[test]
fn a_reason_has_the_path_of_fields_before_it() {
    assert_eq!(within("a", "it is missing"), "`a`: it is missing");
    assert_eq!(within("b", &within("a", "it is missing")), "`b.a`: it is missing");
}

#[test]
fn a_slot_keeps_its_values_in_order() {
    let mut slot = Slot::None;
    assert_eq!(slot.last(), None);
    for number in 0..3 {
        slot.push(Raw::Varint(number));
    }
    assert_eq!(slot.all(), [Raw::Varint(0), Raw::Varint(1), Raw::Varint(2)]);
}
