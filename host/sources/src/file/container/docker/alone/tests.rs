use proptest::prelude::*;

use super::super::entry;
use super::*;

proptest! {
    #[test]
    fn a_line_is_the_same_whatever_line_came_before(
        lines in prop::collection::vec(
            "\\{\"log\":\"a\\\\n\"(,\"stream\":\"std(out|err|in)\")?,\"time\":\"20(16|99)-10-06T00:17:0[0-1](\\.[0-9x]{0,3}[0-9]{5,6})?(Z|\\+02:00|x)\"[}x]",
            1..20,
        ),
    ) {
        let (mut stamps, mut tail) = (Stamps::default(), None);
        for line in lines {
            let mut text = Vec::new();
            let chunk = format!("{line}\n{line}");
            let alone = alone(chunk.as_bytes(), 1 << 20, 1 << 20, &mut stamps, &mut tail, &mut text);
            let mut scratch = Vec::new();
            let entry = entry(line.as_bytes(), &mut Stamps::default(), &mut scratch);
            let want = entry.ok().map(|entry| (entry.time, entry.stream, line.len() + 1));
            prop_assert_eq!(alone.map(|alone| (alone.time, alone.stream, alone.length)), want, "{}", line);
        }
    }

    #[test]
    fn eight_digits_are_a_number(number in 0..100_000_000i64, at in 0..8usize, other in any::<u8>()) {
        let mut digits: [u8; 8] = format!("{number:08}").into_bytes().try_into().unwrap();
        prop_assert_eq!(eight_digits(digits), Some(number));
        digits[at] = other;
        prop_assert_eq!(eight_digits(digits), std::str::from_utf8(&digits).ok().and_then(|text| {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap())
        }));
    }
}
