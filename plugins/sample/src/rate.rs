//! The part that is kept.

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, de};
use std::fmt;

/// A part of all records, more than none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

impl Rate {
    fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            return Self::of(percent.trim_end().parse::<f64>().ok()? / 100.0);
        }
        if let Some((part, whole)) = text.split_once('/') {
            let (part, whole) = (part.trim().parse::<u32>().ok()?, whole.trim().parse::<u32>().ok()?);
            return Self::of(f64::from(part) / f64::from(whole));
        }
        Self::of(text.parse().ok()?)
    }

    fn of(part: f64) -> Option<Self> {
        (part > 0.0 && part <= 1.0).then_some(Self(part))
    }

    /// How many records one stands for.
    pub fn weight(self) -> f64 {
        1.0 / self.0
    }

    /// Whether the record with this hash is of the part.
    pub fn keeps(self, hash: u64) -> bool {
        // A float has 53 bits, which are enough of a hash; so it lies from 0 to just below 1.
        ((hash >> 11) as f64) < self.0 * (1_u64 << 53) as f64
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rates;
        impl Visitor<'_> for Rates {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a part such as 1/10, 10% or 0.1")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
                Rate::of_text(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Rate, E> {
                Rate::of(number).ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Rate, E> {
                Rate::of(number as f64)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
        }
        deserializer.deserialize_any(Rates)
    }
}

/// A hash that is the same for ever: FNV-1a, and the last step of MurmurHash3, which spreads what differs little.
#[derive(Debug, Clone, Copy)]
pub struct Hash(u64);

impl Hash {
    /// The hash of nothing.
    pub fn new(seed: u64) -> Self {
        let mut hash = Self(0xcbf2_9ce4_8422_2325);
        hash.write(&seed.to_le_bytes());
        hash
    }

    /// Adds a text, with its end.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The number.
    pub fn finish(self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_in_three_ways() {
        for text in ["1/4", "25%", "0.25", " 25 % ", "2 / 8"] {
            assert_eq!(Rate::of_text(text), Some(Rate(0.25)), "{text}");
        }
        for text in ["", "0", "1/0", "0/1", "2/1", "101%", "-1%", "nan", "x", "1/x", "0%"] {
            assert_eq!(Rate::of_text(text), None, "{text}");
        }
    }

    #[test]
    fn as_many_are_kept_as_the_rate_says() {
        for (rate, wanted) in [("1/10", 10_000), ("50%", 50_000), ("1%", 1000), ("1", 100_000)] {
            let rate = Rate::of_text(rate).unwrap();
            let hash = |number: u32| {
                let mut hash = Hash::new(0);
                hash.write(format!("user-{number}").as_bytes());
                hash.finish()
            };
            let kept = (0..100_000).filter(|number| rate.keeps(hash(*number))).count();
            assert!(kept.abs_diff(wanted) <= wanted / 10, "{kept} of {wanted}");
        }
    }

    #[test]
    fn all_are_kept_at_a_rate_of_one_and_the_last_hash_at_no_other() {
        assert!(Rate(1.0).keeps(u64::MAX) && Rate(1.0).keeps(0));
        assert!(!Rate(0.999).keeps(u64::MAX) && Rate(0.001).keeps(0));
    }

    #[test]
    fn hashes_are_the_same_for_ever() {
        let mut hash = Hash::new(0);
        hash.write(b"abc");
        assert_eq!(hash.finish(), HASH_OF_ABC);
    }

    const HASH_OF_ABC: u64 = 0x7a818e11fab232f7;
}
