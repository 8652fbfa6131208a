use serde_json::json;

use super::*;

#[test]
fn what_is_under_way_with_a_filter_is_said_in_one_line() {
    assert_eq!(under_way(&json!({"plugin": "dissect"})), "");
    let before = "0123456789abcdef";
    let filter = json!({
        "probation": {"one": {"before": before, "seconds_left": 7}, "two": {"before": before, "seconds_left": 12}},
        "shadow": "./new.wasm",
        "state": {"one": {"saved": "2026-11-26T08:00:00Z"}, "two": {"states": 0}},
    });
    assert_eq!(
        under_way(&filter),
        "on probation for 12 s more, or 0123456789ab comes back; shadow ./new.wasm; state saved 2026-11-26T08:00:00Z"
    );
}
