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

#[test]
fn a_listener_is_asked_where_it_listens_and_on_the_loopback_where_that_is_everywhere() {
    for (listen, url) in [
        ("9600", "http://127.0.0.1:9600"),
        ("0.0.0.0:9600", "http://127.0.0.1:9600"),
        ("[::]:9600", "http://127.0.0.1:9600"),
        ("10.0.0.7:9600", "http://10.0.0.7:9600"),
        ("[fe80::7]:9600", "http://[fe80::7]:9600"),
        ("collector.lan:9600", "http://collector.lan:9600"),
    ] {
        assert_eq!(url_of(&listen.parse().unwrap()), url, "{listen}");
    }
}
