use super::*;

#[test]
fn a_filter_counts_under_so_many_names_over_all_its_generations() {
    let filter: Arc<str> = "counts_a_lot".into();
    for generation in 0..3 {
        let metrics = GuestMetrics::new(&filter);
        for n in 0..1000 {
            metrics.count(&format!("{generation}/{n}"), 1);
        }
        metrics.count(&"x".repeat(1 << 20), 1);
        assert!(metrics.other.get().is_some());
    }
    assert_eq!(NAMES.lock()[&filter].len(), MAX_COUNTERS);
    assert!(admit(&filter, "0/7"), "a name that was there is there again");
    assert!(admit(&"another".into(), "1/7"), "another filter has names of its own");
}
