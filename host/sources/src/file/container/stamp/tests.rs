use proptest::prelude::*;

use super::*;

#[test]
fn a_second_that_is_remembered_is_of_its_zone() {
    let mut stamps = Stamps::default();
    let second = 1_475_713_029_000_000_000;
    for (text, want) in [
        ("2016-10-06T00:17:09.5Z", Some(second + 500_000_000)),
        ("2016-10-06T00:17:09.000000001Z", Some(second + 1)),
        ("2016-10-06T00:17:09.25+02:00", Some(second - 7_200_000_000_000 + 250_000_000)),
        ("2016-10-06T00:17:09.25-02:00", Some(second + 7_200_000_000_000 + 250_000_000)),
        ("2016-10-06T00:17:09Z", Some(second)),
        ("2016-10-06T00:17:09.Z", None),
        ("2016-10-06T00:17:09.1x", None),
        ("2016-10-06T00:17:09.", None),
        ("2016-10-06T00:17:09.0000000001Z", None),
        ("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0.5", None),
    ] {
        assert_eq!(stamps.parse(text.as_bytes()), want, "{text}");
    }
}

proptest! {
    #[test]
    fn a_time_is_the_same_whatever_came_before(
        texts in prop::collection::vec("20(16|17)-10-06T00:17:0[0-9](\\.[0-9]{0,10})?(Z|\\+02:00|-00:30|x)", 1..20),
    ) {
        let mut stamps = Stamps::default();
        for text in texts {
            prop_assert_eq!(stamps.parse(text.as_bytes()), time::parse(text.as_bytes()), "{}", text);
        }
    }
}
