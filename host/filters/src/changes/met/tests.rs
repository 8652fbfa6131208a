use std::sync::Arc;

use arrow_array::Int64Array;
use proptest::prelude::*;

use super::*;

const NAMES: &[&str] =
    &["a", "a.b", "a.b.c", "a.d", "ab", r"a\.b", "e", "e.f", "@rest", "@tag", "@timestamp", ""];

fn slot(name: &str, kind: Kind) -> Slot {
    Slot {
        field: Arc::new(kind.field(name)),
        kind,
        array: Arc::new(Int64Array::from(vec![1])),
        constant: false,
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Json), Just(Kind::Int64)]
}

proptest! {
    #[test]
    fn what_is_known_by_names_is_what_a_look_at_all_columns_finds(
        names in proptest::sample::subsequence(NAMES, 0..=NAMES.len()).prop_shuffle(),
        kinds in proptest::collection::vec(kind(), NAMES.len()),
        first in 0..=NAMES.len(),
        gone in proptest::collection::vec(any::<bool>(), NAMES.len()),
    ) {
        let mut slots: Vec<Slot> = Vec::new();
        let mut known = Met { known: Some(Known::default()) };
        for (number, (name, kind)) in names.iter().zip(&kinds).enumerate() {
            slots.push(slot(name, *kind));
            if number == first { known.learn(&slots) } else if number > first { known.add(&slots) }
        }
        if names.len() <= first { known.learn(&slots) }
        let gone: Vec<usize> = (0..slots.len()).filter(|place| gone[*place]).collect();
        let searched = Met { known: None };
        for _ in 0..2 {
            for name in NAMES {
                prop_assert_eq!(known.at(&slots, name), searched.at(&slots, name), "{}", name);
                prop_assert_eq!(known.kin(&slots, name), searched.kin(&slots, name), "{}", name);
            }
            known.remove(&mut slots, &gone);
        }
    }
}
