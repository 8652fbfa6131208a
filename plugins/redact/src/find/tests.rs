use super::*;

fn finder(replace: Replace) -> Finder {
    Finder::new(vec![Kind::Email, Kind::Card, Kind::Ipv4, Kind::Ipv6], Vec::new(), replace)
}

fn labelled(text: &str) -> String {
    finder(Replace::Label).redact(text).unwrap_or_else(|| text.to_owned())
}

#[test]
fn addresses_of_people_are_found() {
    for (text, wanted) in [
        ("mail a.b+c@mail.host.example!", "mail [email]!"),
        ("<a@b.de>,x@y.co.uk.", "<[email]>,[email]."),
        ("?q=joe%40x.org&y", "?q=[email]&y"),
        ("é@ü.de", "[email]"),
        ("..a@b-c.de-", "..[email]-"),
    ] {
        assert_eq!(labelled(text), wanted);
    }
    for text in ["a@b", "@b.de", "a@", "a@.de", "a@-b.de", "user@host.1", "100%4", "a @b.de", "x@y.c"] {
        assert_eq!(labelled(text), text);
    }
}

#[test]
fn numbers_of_cards_are_found_by_their_check_digit() {
    for (text, wanted) in [
        ("4111111111111111", "[card]"),
        ("pan=4111 1111 1111 1111;", "pan=[card];"),
        ("2026-11-20 5500-0000-0000-0004", "2026-11-20 [card]"),
        ("3782 822463 10005 ok", "[card] ok"),
        ("x6011111111111117y", "x[card]y"),
    ] {
        assert_eq!(labelled(text), wanted);
    }
    for text in [
        "4111111111111112",
        "1763640000000",
        "41111111111111111111111",
        "4111 1111-1111 1111",
        "4111  1111 1111 1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    ] {
        assert_eq!(labelled(text), text);
    }
}

#[test]
fn addresses_of_hosts_are_found() {
    for (text, wanted) in [
        ("10.0.0.1:80 [::1]:80 fe80::1%eth0", "[ip]:80 [[ip]]:80 [ip]%eth0"),
        ("from 2001:db8::8a2e:370:7334, 1.2.3.4/24.", "from [ip], [ip]/24."),
        ("::ffff:1.2.3.4", "[ip]"),
        ("fe80::1: up", "[ip]: up"),
        ("1.2.3.4.", "[ip]."),
    ] {
        assert_eq!(labelled(text), wanted);
    }
    for text in [
        "1.2.3",
        "1.2.3.4.5",
        "v1.2.3.4",
        "256.1.1.1",
        "12:34:56",
        "aa:bb:cc:dd:ee:ff",
        "std::abc",
        "::",
        "1.2.3.4x",
        "a::b::c",
    ] {
        assert_eq!(labelled(text), text);
    }
}

#[test]
fn a_match_is_replaced_as_it_was_said() {
    let with = |replace| finder(replace).redact("x a@b.de y").unwrap();
    assert_eq!(with(Replace::Label), "x [email] y");
    assert_eq!(with(Replace::Mask { keep_last: 0 }), "x ****** y");
    assert_eq!(with(Replace::Mask { keep_last: 2 }), "x ****de y");
    assert_eq!(with(Replace::Mask { keep_last: 100 }), "x ***.de y");
    assert_eq!(with(Replace::Nothing), "x  y");
}

#[test]
fn hashes_are_those_of_rfc_4231() {
    let mut out = String::new();
    Replace::hash(b"Jefe").write("x", "what do ya want for nothing?", &mut out);
    assert_eq!(out, "5bdcc146bf60754e6a042426089575c7");
}

#[test]
fn what_overlaps_goes_together() {
    let own = Regex::new("de: .*").unwrap();
    let mut finder = Finder::new(vec![Kind::Email], vec![("own".to_owned(), own)], Replace::Label);
    assert_eq!(finder.redact("a@b.de: rest").unwrap(), "[email]");
    assert_eq!(finder.take_counts(), [("email".to_owned(), 1)]);
    assert_eq!(finder.take_counts(), []);
}

#[test]
fn what_was_redacted_has_nothing_to_find_and_no_text_brings_a_panic() {
    let pieces = [
        "a@b.de",
        "@",
        "%40",
        "é",
        ".",
        ":",
        "::",
        "1.2.3.4",
        "4111 1111 1111 1111",
        "-",
        "0",
        " ",
        "fe80",
        "\u{1F600}",
    ];
    let mut random = 7_u32;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..8 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(pieces[(random >> 16) as usize % pieces.len()]);
        }
        let once = labelled(&text);
        assert!(
            once == text || once.contains("[email]") || once.contains("[card]") || once.contains("[ip]"),
            "{text}"
        );
    }
}

#[test]
fn bytes_are_looked_at_where_they_are_text() {
    let mut finder = finder(Replace::Label);
    assert_eq!(finder.redact_bytes(b"\xff1.2.3.4\xfe").unwrap(), b"\xff[ip]\xfe");
    assert_eq!(finder.redact_bytes(b"\xff\xfe"), None);
}
