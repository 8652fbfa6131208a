use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { bytes: 1 << 20, depth: 16 };

/// Reads one value with the cursor, token by token. Answers where it ends.
fn walk(bytes: &[u8]) -> Result<usize, Fault> {
    let mut cursor = Cursor::new(bytes, 0);
    let mut left: u64 = 1;
    while left > 0 {
        left -= 1;
        match cursor.token()? {
            Token::Array(length) => left += u64::from(length),
            Token::Map(pairs) => left += 2 * u64::from(pairs),
            _ => {}
        }
    }
    Ok(cursor.at())
}

#[test]
fn each_format_of_the_specification_is_read() {
    let long = [&[0xda, 1, 0][..], &[b'x'; 256]].concat();
    let cases: &[(&[u8], Token<'_>)] = &[
        (b"\x07", Token::Int(7)),
        (b"\xff", Token::Int(-1)),
        (b"\xcc\xff", Token::Int(255)),
        (b"\xcd\xff\xff", Token::Int(65_535)),
        (b"\xce\xff\xff\xff\xff", Token::Int(4_294_967_295)),
        (b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", Token::Int(i64::MAX)),
        (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Token::Unsigned(u64::MAX)),
        (b"\xd0\x80", Token::Int(-128)),
        (b"\xd1\x80\x00", Token::Int(-32_768)),
        (b"\xd2\x80\x00\x00\x00", Token::Int(i64::from(i32::MIN))),
        (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", Token::Int(i64::MIN)),
        (b"\xca\x3f\x80\x00\x00", Token::Float(1.0)),
        (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", Token::Float(1.5)),
        (b"\xc0", Token::Nil),
        (b"\xc2", Token::Boolean(false)),
        (b"\xc3", Token::Boolean(true)),
        (b"\xa2\xff\xfe", Token::Text(b"\xff\xfe")),
        (b"\xd9\x01a", Token::Text(b"a")),
        (&long, Token::Text(&[b'x'; 256])),
        (b"\xdb\x00\x00\x00\x01a", Token::Text(b"a")),
        (b"\xc4\x01a", Token::Bytes(b"a")),
        (b"\xc5\x00\x01a", Token::Bytes(b"a")),
        (b"\xc6\x00\x00\x00\x01a", Token::Bytes(b"a")),
        (b"\xd4\x05a", Token::Ext(5, b"a")),
        (b"\xd5\xffab", Token::Ext(-1, b"ab")),
        (b"\xd6\x00abcd", Token::Ext(0, b"abcd")),
        (b"\xd7\x00abcdefgh", Token::Ext(0, b"abcdefgh")),
        (b"\xd8\x00abcdefghabcdefgh", Token::Ext(0, b"abcdefghabcdefgh")),
        (b"\xc7\x08\x00abcdefgh", Token::Ext(0, b"abcdefgh")),
        (b"\xc8\x00\x01\x05a", Token::Ext(5, b"a")),
        (b"\xc9\x00\x00\x00\x01\x05a", Token::Ext(5, b"a")),
        (b"\x90", Token::Array(0)),
        (b"\xdc\x00\x00", Token::Array(0)),
        (b"\xdd\x00\x00\x00\x00", Token::Array(0)),
        (b"\x80", Token::Map(0)),
        (b"\xde\x00\x00", Token::Map(0)),
        (b"\xdf\x00\x00\x00\x00", Token::Map(0)),
    ];
    for (bytes, token) in cases {
        let mut cursor = Cursor::new(bytes, 0);
        assert_eq!(cursor.token().as_ref(), Ok(token), "{bytes:x?}");
        assert_eq!(cursor.at(), bytes.len());
        assert_eq!(skip(bytes, 0, LIMITS), Ok(bytes.len()), "{bytes:x?}");
        for short in 0..bytes.len() {
            assert_eq!(Cursor::new(&bytes[..short], 0).token(), Err(Fault::Short), "{bytes:x?}");
            assert_eq!(skip(&bytes[..short], 0, LIMITS), Err(Fault::Short));
        }
    }
    assert_eq!(Cursor::new(b"\xc1", 0).token(), Err(Fault::Reserved));
    assert_eq!(skip(b"\xc1", 0, LIMITS), Err(Fault::Reserved));
}

#[test]
fn lengths_past_the_limit_are_refused_before_their_bytes_are_there() {
    for bytes in [
        &b"\xdb\xff\xff\xff\xff"[..],
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x00",
    ] {
        assert_eq!(Scanner::new(0).advance(bytes, LIMITS), Err(Fault::Long(1 << 20)), "{bytes:x?}");
    }
}

#[test]
fn arrays_inside_each_other_are_counted() {
    let deep = |levels: usize| [&vec![0x91; levels][..], b"\x01"].concat();
    assert_eq!(skip(&deep(16), 0, LIMITS), Ok(17));
    assert_eq!(skip(&deep(17), 0, LIMITS), Err(Fault::Deep(16)));
}

#[test]
fn a_scanner_notes_where_the_elements_start() {
    let mut scanner = Scanner::new(1);
    assert_eq!(scanner.advance(b"\xc0\x93\xa1t\x92\x01\x02\x80", LIMITS), Ok(Some(8)));
    assert_eq!(scanner.parts(), [2, 4, 7]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_the_same_by_cursor_and_scanner_whole_or_in_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        piece in 1usize..20,
    ) {
        let limits = Limits { bytes: usize::MAX, depth: usize::MAX };
        let whole = skip(&bytes, 0, limits);
        prop_assert_eq!(whole, walk(&bytes));
        let mut scanner = Scanner::new(0);
        let mut pieces = Err(Fault::Short);
        for end in (0..=bytes.len()).step_by(piece).chain([bytes.len()]) {
            match scanner.advance(&bytes[..end], limits) {
                Ok(None) => continue,
                Ok(Some(end)) => pieces = Ok(end),
                Err(fault) => pieces = Err(fault),
            }
            break;
        }
        prop_assert_eq!(pieces, whole);
    }
}
