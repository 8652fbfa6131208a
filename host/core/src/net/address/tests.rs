use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn address(text: &str) -> Address {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_port_stands_alone_or_behind_a_host() {
    for (text, shown) in [
        ("8080", ":8080"),
        (":8080", ":8080"),
        ("*:8080", "[::]:8080"),
        ("0.0.0.0:0", "0.0.0.0:0"),
        ("collector.example.com:8080", "collector.example.com:8080"),
        ("[::1]:8080", "[::1]:8080"),
        ("[::]:8080", "[::]:8080"),
    ] {
        assert_eq!(address(text).to_string(), shown);
        assert_eq!(address(shown), address(text));
    }
}

#[test]
fn what_is_no_address_is_told_with_the_forms_that_are() {
    for text in [
        "",
        ":",
        "localhost",
        "localhost:",
        ":http",
        "0.0.0.0:65536",
        "::1:8080",
        "[::1]",
        "[x]:80",
        "1.2.3:80",
        "300.1.1.1:80",
        "http://localhost:80",
        "a b:80",
        "-1",
        "0.0.0.0:+80",
        "unix:///x",
    ] {
        let error = text.parse::<Address>().expect_err(text);
        assert!(error.contains("is no address") && error.contains("write `8080`, `host:8080`"), "{error}");
    }
    for (text, words) in [
        ("unix://run/f.sock", "write `unix:///path`"),
        (&*format!("unix:///{}", "x".repeat(120)), "107 bytes"),
        ("localhost", "or `unix:///path`"),
    ] {
        let error = text.parse::<Endpoint>().unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_endpoint_is_an_address_or_a_unix_socket_and_there_may_be_several() {
    let read =
        |json: &str| serde_json::from_str::<Endpoints>(json).map(|e| serde_json::to_string(&e).unwrap());
    assert_eq!(read("24224").unwrap(), "\":24224\"");
    assert_eq!(read("\"tcp://h:1\"").unwrap(), "\"h:1\"");
    assert_eq!(read("[24224, \"unix:///run/f.sock\"]").unwrap(), "[\":24224\",\"unix:///run/f.sock\"]");
    assert!(read("[]").unwrap_err().to_string().contains("it names no address"));
    assert!(read("70000").is_err() && read("{}").is_err());
}

#[test]
fn addresses_that_cannot_be_had_at_once_are_known() {
    let taken = |a: &str, b: &str| {
        let (a, b) = (address(a), address(b));
        assert_eq!(a.is_taken_by(ALL, &b, HERE), b.is_taken_by(HERE, &a, ALL));
        a.is_taken_by(ALL, &b, HERE)
    };
    assert!(taken("80", "80") && taken("80", "10.0.0.1:80") && taken("10.0.0.1:80", "[::]:80"));
    assert!(taken("127.0.0.1:80", "80") && taken("localhost:80", "127.0.0.1:80") && taken("h:80", "h:80"));
    assert!(!taken("80", "81") && !taken("10.0.0.1:80", "80") && !taken("g:80", "h:80"));
    assert!(!taken("0", "0"), "the system chooses another port for each");
}
