//! What a batch of one row costs is the number of its pieces.

use super::*;
use crate::memory::allocations_of;

const LINE: &str = "203.0.113.7 - alice [07/Nov/2026:10:15:32 +0000] \"GET /api/v1/orders?q=x HTTP/1.1\" 200 5316 \"https://www.example.com/\" \"curl/8.5.0\"";

/// Pieces of memory, with the receipt of the batch. Each of the ten columns is one.
const MOST: usize = 25;

#[test]
fn a_row_by_itself_costs_few_pieces_of_memory() {
    let mut settings = FilterSettings::of("dissect");
    settings.settings = json!({"preset": "nginx_combined"});
    let mut filter = Alone::load("dissect", &settings, &context()).unwrap();
    let records = messages(&[LINE]);
    let mut run = || {
        let (out, rejected) = filter.run(records.clone());
        assert!(out.columns().num_columns() == 10 && rejected.is_empty());
    };
    // The first ones are not like all others, and some are kept for later trials.
    let pieces = (0..20).map(|_| allocations_of(&mut run).1).min().unwrap();
    assert!(pieces <= MOST, "{pieces} pieces of memory");
}
