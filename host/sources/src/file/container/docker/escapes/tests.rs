use proptest::prelude::*;

use super::*;

fn by(way: impl Fn(&[u8], &mut Vec<u8>) -> Option<usize>, rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    let mut out = b"before".to_vec();
    let end = way(rest, &mut out)?;
    Some((end, out.split_off(b"before".len())))
}

proptest! {
    #[test]
    fn strings_come_out_of_blocks_of_any_width_alike(
        text in "([a-z<>é]|[\\\\]{1,3}|\\\\[ntrbfu/\"x]|\\\\u00[0-9a-f]{2}|\\\\ud83d\\\\ude00|.){0,200}",
        end in "(\"|\",\"stream\":\"stdout\"\\}|\n\"|)",
    ) {
        let string = format!("{text}{end}").into_bytes();
        let blocks = by(by_blocks, &string);
        prop_assert_eq!(by(unescape, &string), blocks.clone());
        // What serde_json takes for a string is one, with the same text.
        let quoted = [b"\"", &string[..]].concat();
        let mut values = serde_json::Deserializer::from_slice(&quoted).into_iter::<String>();
        if let Some(Ok(want)) = values.next() {
            prop_assert_eq!(blocks, Some((values.byte_offset() - 1, want.into_bytes())));
        }
    }
}
