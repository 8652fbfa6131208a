use super::*;
use crate::expand::Definitions;
use regex::Regex;

/// Texts that are matched as a whole.
#[rustfmt::skip]
const WHOLE: &[(&str, &str)] = &[
    ("USERNAME", r#"joe.x_1-y"#),
    ("EMAILADDRESS", r#"joe+x@mail.example.org"#),
    ("INT", r#"-12"#),
    ("NUMBER", r#"3.25"#),
    ("NUMBER", r#".5"#),
    ("NUMBER", r#"+7"#),
    ("BASE16NUM", r#"0xdeadBEEF"#),
    ("BASE16FLOAT", r#"0x1f.8"#),
    ("POSINT", r#"120"#),
    ("NONNEGINT", r#"0"#),
    ("WORD", r#"größe_1"#),
    ("NOTSPACE", r#"a/b"c"#),
    ("QUOTEDSTRING", r#""a \" b""#),
    ("QS", r#"'x y'"#),
    ("UUID", r#"550e8400-e29b-41d4-a716-446655440000"#),
    ("URN", r#"urn:isbn:0451450523"#),
    ("MAC", r#"0a:1b:2c:3d:4e:5f"#),
    ("MAC", r#"0A-1B-2C-3D-4E-5F"#),
    ("MAC", r#"0a1b.2c3d.4e5f"#),
    ("IPV4", r#"255.249.199.9"#),
    ("IPV6", r#"2001:db8::8a2e:370:7334"#),
    ("IPV6", r#"::1"#),
    ("IPV6", r#"fe80::1%eth0"#),
    ("IPV6", r#"1:2:3:4:5:6:7:8"#),
    ("IPV6", r#"::ffff:10.0.0.1"#),
    ("IP", r#"10.0.0.1"#),
    ("HOSTNAME", r#"a-1.example.org"#),
    ("HOSTPORT", r#"example.org:8080"#),
    ("UNIXPATH", r#"/var/log/a.b"#),
    ("WINPATH", r#"C:\Windows\x.log"#),
    ("URI", r#"https://joe:pw@example.org:8443/a/b?c=d&e=%20"#),
    ("URIPATHPARAM", r#"/a/b?c=d"#),
    ("MONTH", r#"Oct"#),
    ("MONTH", r#"september"#),
    ("MONTHDAY", r#"31"#),
    ("DAY", r#"Thu"#),
    ("YEAR", r#"2026"#),
    ("TIME", r#"23:59:60.123"#),
    ("TIME", r#"22:15"#),
    ("DATE_US", r#"11/26/2026"#),
    ("DATE_EU", r#"26.11.2026"#),
    ("TIMESTAMP_ISO8601", r#"2026-11-26T13:55:36.123+01:00"#),
    ("TIMESTAMP_ISO8601", r#"2026-11-26 13:55:36,123"#),
    ("TIMESTAMP_ISO8601", r#"2026-11-26T13:55Z"#),
    ("DATESTAMP", r#"11/26/2026 13:55:36"#),
    ("DATESTAMP_RFC2822", r#"Thu, 26 Nov 2026 13:55:36 +0100"#),
    ("DATESTAMP_RFC822", r#"Thu Nov 26 2026 13:55:36 EST"#),
    ("DATESTAMP_OTHER", r#"Thu Nov 26 13:55:36 UTC 2026"#),
    ("DATESTAMP_EVENTLOG", r#"20261126135536"#),
    ("HTTPDATE", r#"26/Nov/2026:13:55:36 +0100"#),
    ("SYSLOGTIMESTAMP", r#"Nov  6 13:55:36"#),
    ("PROG", r#"postfix/smtpd"#),
    ("LOGLEVEL", r#"WARNING"#),
    ("LOGLEVEL", r#"err"#),
    ("LOGLEVEL", r#"INF"#),
    ("MONTH", r#"Okt"#),
    ("MONTH", r#"März"#),
    ("MONTH", r#"Dez"#),
    ("JAVACLASS", r#"org.example.Main$Inner"#),
    ("JAVAMETHOD", r#"<init>"#),
    ("JAVASTACKTRACEPART", r#"	at org.example.Main.run(Main.java:12)"#),
    ("REDISLOG", r#"[12] 26 Nov 13:55:36.123 * Ready"#),
    ("MONGO3_LOG", r#"2026-11-26T13:55:36.123+0100 I NETWORK  [conn1] end connection"#),
    ("CATALINALOG", r#"Nov 26, 2026 1:55:36 PM org.apache.Catalina start INFO: up"#),
    ("SYSLOGLINE", r#"Nov 26 13:55:36 host postfix/smtpd[12]: connect from x"#),
    ("SYSLOGLINE", r#"2026-11-26T13:55:36.123456+01:00 host postfix/smtpd[12]: connect from x"#),
    ("SYSLOG5424LINE", r#"<34>1 2026-11-26T13:55:36.123Z host su - ID47 [x@1 a="b"] failed"#),
    ("CRONLOG", r#"Nov 26 13:55:36 host CRON[12]: (root) CMD (run-parts /etc)"#),
    ("COMMONAPACHELOG", r#"10.0.0.1 - joe [26/Nov/2026:13:55:36 +0100] "GET /x HTTP/1.1" 200 12"#),
    ("COMBINEDAPACHELOG", r#"::1 - - [26/Nov/2026:13:55:36 +0100] "GET /x?y HTTP/1.1" 304 - "-" "curl/8""#),
    ("HTTPD_ERRORLOG", r#"[Thu Nov 26 13:55:36.123 2026] [core:error] [pid 12:tid 3] [client 10.0.0.1:80] AH01: File missing"#),
    ("HTTPD_ERRORLOG", r#"[Thu Nov 26 13:55:36 2026] [error] [client 10.0.0.1] File missing"#),
    ("HAPROXYHTTP", r#"Nov 26 13:55:36 lb haproxy[12]: 10.0.0.1:5000 [26/Nov/2026:13:55:36.123] http-in be/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#),
    ("HAPROXYTCP", r#"Nov 26 13:55:36 lb haproxy[12]: 10.0.0.1:5000 [26/Nov/2026:13:55:36.123] fe be/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0"#),
    ("ELB_ACCESS_LOG", r#"2026-11-26T13:55:36.123Z lb 10.0.0.1:2817 10.0.0.2:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1""#),
    ("POSTGRESQL", r#"2026-11-26 13:55:36.123 UTC joe conn 12"#),
];

/// Texts that are not.
const NOT: &[(&str, &str)] = &[
    ("IPV4", "256.1.1.1"),
    ("IPV6", "12:34:56"),
    ("POSINT", "0"),
    ("MONTHDAY", "32"),
    ("UUID", "550e8400"),
    ("MAC", "0a:1b"),
    ("TIME", "25:00"),
    ("LOGLEVEL", "loud"),
    ("INT", "1.5"),
    ("HOSTNAME", "-x"),
    ("COMMONAPACHELOG", "hello"),
    ("QUOTEDSTRING", "\"x"),
];

fn whole(name: &str) -> Regex {
    let expanded = Definitions::new(Default::default()).expand(&format!("^%{{{name}}}$")).unwrap();
    Regex::new(&expanded.regex).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn each_definition_is_an_expression_and_stands_once() {
    let mut names: Vec<&str> = DEFINITIONS.iter().map(|(name, _)| *name).collect();
    names.iter().for_each(|name| drop(whole(name)));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn texts_are_matched_by_the_definitions_that_mean_them() {
    let fail = |(name, text): &&(&str, &str), wanted: bool| whole(name).is_match(text) != wanted;
    let unmatched: Vec<_> = WHOLE.iter().filter(|sample| fail(sample, true)).collect();
    assert!(unmatched.is_empty(), "{unmatched:#?}");
    let matched: Vec<_> = NOT.iter().filter(|sample| fail(sample, false)).collect();
    assert!(matched.is_empty(), "{matched:#?}");
}

#[test]
fn an_address_is_found_whole_within_a_line() {
    let expanded = Definitions::new(Default::default()).expand("from %{IP:ip} port").unwrap();
    let regex = Regex::new(&expanded.regex).unwrap();
    for ip in ["10.0.0.1", "2001:db8::1", "::1", "fe80::1:2:3", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4"] {
        let line = format!("x from {ip} port 22");
        assert_eq!(&regex.captures(&line).unwrap()["__field0"], ip);
    }
}
