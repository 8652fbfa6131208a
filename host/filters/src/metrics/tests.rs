use super::*;
use crate::tests::wasi::log_of;

#[test]
fn records_that_are_dropped_for_a_fault_are_all_told_of_the_last_ones_when_their_filter_ends() {
    let log = log_of(|| {
        for metrics in [FilterMetrics::new(&"parse".into()), FilterMetrics::silent(&"parse".into())] {
            for (records, reason) in [(3, "one"), (4, "two"), (5, "three")] {
                metrics.lost(records, reason);
            }
        }
    });
    let told: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once("filter=")?.1)).collect();
    assert_eq!(told, [r#""parse" records=3 reason="one""#, r#""parse" records=9 reason="two""#]);
}
