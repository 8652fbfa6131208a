use super::*;

mod around;

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
        ("'bob@x.org', “o'brien@x.org” *bob@x.org*", "'[email]', “[email]” *[email]*"),
        (
            "ユーザーのメールアドレスは次のとおりですのでご確認くださいtaro@x.com",
            "ユーザーのメールアドレスは次のとおりですのでご確認ください[email]",
        ),
        (
            "taro@x.comに送信しました。確認してください。よろしくお願いいたします。",
            "[email]に送信しました。確認してください。よろしくお願いいたします。",
        ),
        ("联系12345678@qq.com或", "联系[email]或"),
        ("用户@例子.广告 иван@пример.рф राम@उदाहरण.भारत", "[email] [email] [email]"),
        ("a@e建築.jp, a@日本語abc.jp", "[email], [email]"),
        ("mailto%3Abob%2Btag%40x.org%3F", "mailto%3A[email]%3F"),
        ("a@x.org-backup a@x.org2026-01-01", "[email]-backup [email]2026-01-01"),
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
        // Which of the two is the number, nobody can tell.
        ("30 4111 1111 1111 1111", "[card]"),
        ("é4111\u{a0}1111\u{a0}1111\u{a0}1111\u{a0}é", "é[card]\u{a0}é"),
        ("4111\u{2011}1111\u{2011}1111\u{2011}1111", "[card]"),
        ("1 4111 1111 1111 1111", "1 [card]"),
        ("n=%204111111111111111&m=4111%201111%201111%201111", "n=%20[card]&m=[card]"),
        ("4111+1111+1111+1111", "[card]"),
        ("%B4111111111111111^DOE", "%B[card]^DOE"),
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
        ("client:2001:db8::1 X-Forwarded-For:2001:db8::1", "client:[ip] X-Forwarded-For:[ip]"),
        ("source:2001:db8:0:0:0:0:0:1 local:::1", "source:[ip] local:[ip]"),
        ("2001:db8:0:0:0:0:0:1:443 2001:db8:0:0:0:0:0:1:44321", "[ip]:443 [ip]:44321"),
        ("0:0:0:0:0:0:0:1:443", "[ip]:443"),
        ("2001:db8::1.443 2001:db8::1... fe80::1.2.3.4:5", "[ip].443 [ip]... [ip]:5"),
        ("2001:db8::1:eth0 2001:db8::1:2001:db8::2", "[ip]:eth0 [ip]"),
        ("12:30:45:2001:db8:0:0:0:0:0:1", "12:30:45:[ip]"),
        ("a1b2c3d4e5:2001:db8::1:deadbeef", "a1b2c3d4e5:[ip]:deadbeef"),
        ("u=http%3A%2F%2F10.0.0.1%2F%2010.0.0.1%252F10.0.0.1", "u=http%3A%2F%2F[ip]%2F%20[ip]%252F[ip]"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001:fe80:0000:0000:0000:0000:0000:0000:0001", "[ip]:[ip]"),
        ("ip=2001%3Adb8%3A%3a1&%5B::1%5D", "ip=[ip]&%5B[ip]%5D"),
        (
            r"\n10.0.0.1\t2001:db8::1\u003c10.0.0.1\u003e\u00202001:db8::1",
            r"\n[ip]\t[ip]\u003c[ip]\u003e\u0020[ip]",
        ),
        (
            "ip_10.0.0.1_80 ip_fe80::1 ip_2001:db8:: ...10.0.0.1 5%10.0.0.1",
            "ip_[ip]_80 ip_[ip] ip_[ip] ...[ip] 5%[ip]",
        ),
        ("\u{1b}[1;31m10.0.0.1\u{1b}[0m fe80::1", "\u{1b}[1;31m[ip]\u{1b}[0m [ip]"),
        ("0:0:0:0:0:ffff:192.0.2.1 [2001:db8:1:2:3:4:192.0.2.33]", "[ip] [[ip]]"),
        ("서버2001:db8::1에서", "서버[ip]에서"),
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
        "1.2.3.4.5.6.7.8",
        "12:30:45 2026-11-20T12:30:45.123456",
        "std::dead::beef core::f32::add abc::def::foo() abc::new face::bad_cast",
        "Straße::b use std::arch::x86_64::{a, b}; rfc_3164::<T> <T>::f32_x() Field_60::FDB root:x:0:0::/: at:12:30::",
        "::",
        "10:20:30:40:50:60:70:80:90 43:51:43:a1:b5:fc:8b:b7:0a:3a:a9:b1:0f:66:73:a8",
        "0102:0304:0506:0708:090a:0b0c:0d0e:0f10:1112:1314",
        "sha256:9f86d081884c7d65",
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
    Replace::hash(b"Jefe").write("x", None, "what do ya want for nothing?", &mut out);
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
        "%",
        "F",
        "20",
        "\\",
        "n",
        "u003c",
        "に",
        "[31m",
        "_",
        "com",
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

#[test]
fn addresses_in_a_row_of_very_many_groups_are_found() {
    for groups in 0..200 {
        let row = "a:".repeat(groups);
        for (address, wanted) in [("2001:db8:1:2:3:4:5:6", "[ip]"), ("2001:db8::1", "[ip]")] {
            let redacted = labelled(&format!("{row}{address}"));
            assert!(redacted.ends_with(wanted) && !redacted.contains("db8"), "{groups}: {redacted}");
        }
        let hash = "aa:".repeat(groups + 8);
        assert_eq!(labelled(&format!("{hash}bb")), format!("{hash}bb"));
    }
}
