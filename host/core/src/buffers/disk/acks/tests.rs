use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_set_of_ranges_holds_what_was_added(ranges in vec((1u64..60, 0u64..9), 0..40)) {
        let (mut set, mut model) = (Set::default(), BTreeSet::from([0]));
        for (from, length) in ranges {
            set.add(from, from + length);
            model.extend(from..from + length);
        }
        for sequence in 0..80 {
            prop_assert_eq!(set.has(sequence), model.contains(&sequence));
            prop_assert_eq!(set.covers(sequence, sequence + 3), (sequence..sequence + 3).all(|s| model.contains(&s)));
        }
        prop_assert_eq!(set.end(), model.last().unwrap() + 1);
        let ends: Vec<(u64, u64)> = set.0.iter().map(|(from, to)| (*from, *to)).collect();
        prop_assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", ends);
    }
}
