use super::*;
use crate::config::tree;

/// The text as reports show it.
fn shown(text: &str) -> String {
    let (mut tree, mut dropped) = tree::parse_all(text).unwrap();
    mark(&mut tree, &mut dropped).blacken(text)
}

#[test]
fn values_of_secrets_are_stars_and_everything_else_is_left() {
    for (text, wanted) in [
        (
            "web: { auth: { bearer: [abc, 'd e'] }, listen: 80 }",
            "web: { auth: { bearer: [***, ** **] }, listen: 80 }",
        ),
        ("auth: { basic: { ada: abc } }", "auth: { basic: { ada: *** } }"),
        ("auth: abc", "auth: ***"),
        ("auth: { abcde }", "auth: { ***** }"),
        ("auth: { barer: abc, user: { a: b } }", "auth: { barer: ***, user: { a: * } }"),
        ("auth: { other: abc }", "auth: { other: *** }"),
        (
            "sasl: { mechanism: plain, username: ada, pasword: abc }",
            "sasl: { mechanism: plain, username: ada, pasword: *** }",
        ),
        ("password: { a: { b: [c] } }", "password: { *: { *: [*] } }"),
        ("password: |\n  ab\n  cd\nx: 1", "password: *\n  **\n  **\nx: 1"),
        (
            "x-common: &c { password: abc }\nsasl: { <<: *c, password: def }",
            "x-common: &c { password: *** }\nsasl: { <<: *c, password: *** }",
        ),
        ("x-own: &c abc\nsasl: { password: *c }", "x-own: &c ***\nsasl: { password: ** }"),
    ] {
        assert_eq!(shown(text), wanted);
    }
}

#[test]
fn placeholders_are_left_and_their_defaults_are_not() {
    for (text, wanted) in [
        ("password: \"${NAME}\"", "password: *${NAME}*"),
        ("password: ${file:/run/secrets/p}", "password: ${file:/run/secrets/p}"),
        ("password: \"a${NAME:-b}c\"", "password: **${NAME:-****"),
        ("password: \"${NA ME}\"", "password: ***** ****"),
        ("password: \"${NAME\"", "password: ********"),
        ("broker: \"${NAME:-host}:1${B:-}\"", "broker: \"${NAME:-****}:1${B:-}\""),
    ] {
        assert_eq!(shown(text), wanted);
    }
}

#[test]
fn comments_hide_what_they_say_of_secrets() {
    let text =
        "b: '# token: x' # plain é\na: 1 # password: abc\n#   bearer:\n#     - abc\n# so\npassword: ab #cd\n";
    let wanted =
        "b: '# token: x' # plain é\na: 1 # password: ***\n#   bearer:\n#     * ***\n# **\npassword: ** ***\n";
    assert_eq!(shown(text), wanted);
}

#[test]
fn without_a_tree_a_secret_ends_where_another_key_begins() {
    let text = "\
sasl:
  password: abc
    def
  username: ada
auth:
  bearer:
  - abc
  -
    def
  basic: { ada: abc,
bob: def
}
tls: { cert: x }
auth: abc
web: { auth: { bearer: [abc
def] }, listen: 80 }
listen: 80 }
";
    let wanted = "\
sasl:
  password: ***
    ***
  username: ada
auth:
  bearer:
  * ***
  *
    ***
  basic: * **** ****
**** ***
*
tls: { cert: x }
auth: ***
web: { auth: { bearer: ****
**** ** ******* ** *
listen: 80 }
";
    assert_eq!(without_tree(text), wanted);
}

#[test]
fn user_and_password_in_a_url_are_stars_wherever_it_stands() {
    for (text, wanted) in [
        ("url: \"http://u:hunter2@h/\"", "url: \"http://*********@h/\""),
        ("nodes: [http://a:b@h:9200, http://c@i]", "nodes: [http://***@h:9200, http://*@i]"),
        ("nodes: 'http://a:b@h,https://c:d@i'", "nodes: 'http://***@h,https://***@i'"),
        ("url: http://u:p@ss/w#rd@h/", "url: http://***********@h/"),
        ("url: http://u:p/ss@h/", "url: http://******@h/"),
        ("url: http://${USER}:${PASS:-x}@h/", "url: http://${USER}*${PASS:-**@h/"),
        ("a: 1 # http://u:p@h", "a: 1 # http://***@h"),
        ("url: http://u:pass@h/{@tag}", "url: http://******@h/{@tag}"),
        ("url: http://h:80/{@tag}", "url: http://h:80/{@tag}"),
        ("url: http://h/a?b=c@d", "url: http://h/a?b=c@d"),
        ("url: https://h/x?sv=1&sig=ab%2Fc&api_key=de#f", "url: https://h/x?sv=1&sig=******&api_key=****"),
        (
            "url: 'https://u:p@h/x?token=ab,https://i/?X-Amz-Signature=c&d=e'",
            "url: 'https://***@h/x?token=**,https://i/?X-Amz-Signature=*&d=e'",
        ),
        ("url: http://h/?sig=${SIG}&topic=a", "url: http://h/?sig=${SIG}&topic=a"),
        ("url: http://[::1]:80/@", "url: http://[::1]:80/@"),
    ] {
        assert_eq!(shown(text), wanted);
    }
    assert_eq!(without_tree("url: http://u:p@h ]"), "url: http://***@h ]");
}
