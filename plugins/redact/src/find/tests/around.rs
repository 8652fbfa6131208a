//! Whatever stands around a value, all of it is found, and its hash is the same.

use super::*;

const BEFORE: &[&str] = &[
    " ",
    "",
    "client:",
    "X-Forwarded-For:",
    "source: ",
    ":",
    "=",
    "'",
    "\"",
    "“",
    "«",
    "*",
    "**",
    "(",
    "[",
    "<",
    "|",
    ",",
    ";",
    "/",
    "//",
    "->",
    "...",
    "—",
    "\u{a0}",
    "\u{3000}",
    "：",
    "。",
    "「",
    "📧",
    "次のとおりですのでご確認ください",
    "서버",
    "联系",
    "%20",
    "%3A%2F%2F",
    "%3D",
    "%5B",
    "%2F",
    r"\n",
    r"\t",
    r"\r\n",
    r"\u003c",
    r"\u0020",
    r"\x20",
    r#"\""#,
    "\u{1b}[31m",
    "\u{1b}[1;31m",
    r"\u001b[32m",
];
const BEHIND: &[&str] = &[
    "",
    " ",
    ".",
    "...",
    ",",
    ":",
    ": up",
    ";",
    "'",
    "\"",
    "”",
    "»",
    "*",
    "**",
    ")",
    "]",
    ">",
    "|",
    "/24",
    "!",
    "?",
    "—",
    "…",
    "\u{a0}",
    "。",
    "：",
    "」",
    "📧",
    "に送信しました。確認してください。よろしくお願いいたします。",
    "에서",
    "或",
    "%20",
    "%2F",
    "%3E",
    "%22",
    r"\n",
    r"\t",
    r"\u003e",
    r#"\""#,
    "\u{1b}[0m",
    "_",
];

/// Holds that the hash stands in the place of all of the value, and of nothing else, whatever of these stands around it.
fn is_whole(finder: &mut Finder, value: &str, hash: &str, around: impl Fn(&str) -> bool) {
    let mut wrong = Vec::new();
    for before in BEFORE.iter().filter(|before| around(before)) {
        for behind in BEHIND.iter().filter(|behind| around(behind)) {
            let text = format!("{before}{value}{behind}");
            let redacted = finder.redact(&text).unwrap_or_default();
            if redacted != format!("{before}{hash}{behind}") {
                wrong.push((text, redacted));
            }
        }
    }
    assert!(wrong.is_empty(), "{} texts, such as {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
}

#[test]
fn whatever_stands_around_a_value_it_is_found_whole_and_its_hash_is_the_same() {
    let mut finder = finder(Replace::hash(b"0123456789abcdef"));
    for forms in [
        &["bob@example.com", "Bob@Example.COM", "bob%40example.com", "%62ob@example.com"][..],
        &["o'brien+news@mail.host.example", "o%27brien%2bnews%40mail.host.example"],
        &["josé.garcía@müller.example", "JOSÉ.garc%C3%ADa@müller.example"],
        &["12345678@qq.example"],
        &["n_1@x.org"],
        &["10.0.0.1"],
        &["203.0.113.254"],
        &[
            "2001:db8::1",
            "2001:DB8:0:0:0:0:0:1",
            "2001%3Adb8%3A%3A1",
            "2001:0db8:0000:0000:0000:0000:0000:0001",
        ],
        &["fe80::1:2", "FE80::1:2"],
        &["::1", "0:0:0:0:0:0:0:1"],
        &["::ffff:192.0.2.1", "::FFFF:c000:201"],
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4111%201111%201111%201111",
            "4111\u{202f}1111\u{202f}1111\u{202f}1111",
        ],
        &["378282246310005", "3782 822463 10005"],
    ] {
        let hash = finder.redact(forms[0]).unwrap();
        assert_eq!(hash.len(), 32, "{forms:?}");
        for value in forms {
            is_whole(&mut finder, value, &hash, |_| true);
        }
    }
}

#[test]
fn values_in_other_scripts_are_found_whole_beside_signs_and_blanks() {
    let mut finder = finder(Replace::hash(b"0123456789abcdef"));
    let is_sign = |around: &str| around.chars().all(|sign| sign.is_ascii() || !sign.is_alphabetic());
    for value in ["иван@пример.рф", "用户@例子.广告", "राम@उदाहरण.भारत"]
    {
        let hash = finder.redact(value).unwrap();
        is_whole(&mut finder, value, &hash, is_sign);
    }
}

#[test]
fn no_part_of_an_address_stays_beside_what_may_be_a_group_of_it() {
    let before = [
        "",
        "face:",
        "a:",
        "2026:",
        "12:30:45:",
        "dead:beef:",
        "user::",
        "10.0.0.1:",
        "cafe1:",
        "::1:",
        "fe80::2:",
        "x::y:",
        "%3A",
    ];
    let behind = [
        "",
        ":443",
        ":44321",
        ":eth0",
        ":face",
        "::",
        "::ffff:1",
        ":2001:db8::8",
        ":2001:db8:1:2:3:4:5:6",
        ".1",
        ":x::y",
    ];
    for value in [
        "2001:db8:1:2:3:4:5:7fe6",
        "2001:db8:9:7fe6::1",
        "2001:db8::9:7fe6",
        "fe80::9:7fe6",
        "fd00:1:9:7fe6::",
    ] {
        for (before, behind) in
            before.iter().flat_map(|before| behind.iter().map(move |behind| (before, behind)))
        {
            let redacted = labelled(&format!("{before}{value}{behind}"));
            let is_seen = value.split(':').any(|group| group.len() > 2 && redacted.contains(group));
            assert!(redacted.contains("[ip]") && !is_seen, "{before}{value}{behind}: {redacted}");
        }
    }
}
