use flitch_sdk::testing::Tester;
use serde_json::json;

use super::*;

#[test]
fn a_source_is_of_a_kind_and_an_address_has_a_domain() {
    let mut filter = Tester::new::<Campaign, _>(json!({"social_media": ["Mastodon"]})).unwrap();
    let outcome = filter.run([
        json!({"utm_source": "Instagram", "user_custom_id": "someone@Hotmail.com"}),
        json!({"utm_source": "google", "user_custom_id": "no address"}),
        json!({"utm_source": "mastodon"}),
        json!({"utm_source": "partner"}),
        json!({"n": 1}),
    ]);
    assert_eq!(
        outcome.records,
        [
            json!({
                "utm_source": "Instagram", "user_custom_id": "someone@Hotmail.com",
                "source_category": "social_media", "user_email_domain": "hotmail.com"
            }),
            json!({"utm_source": "google", "user_custom_id": "no address", "source_category": "search"}),
            json!({"utm_source": "mastodon", "source_category": "social_media"}),
            json!({"utm_source": "partner", "source_category": "other"}),
            json!({"n": 1, "source_category": "direct"}),
        ]
    );
    assert!(outcome.rejected.is_empty());
}
