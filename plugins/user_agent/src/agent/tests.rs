use super::*;

/// Family, version, system with its version, and device.
fn read(text: &str) -> String {
    let agent = Agent::of(text);
    let device = agent.device.map(Device::name);
    let parts = [agent.family, agent.version, agent.os, agent.os_version.as_deref(), device];
    parts.map(Option::unwrap_or_default).join("|")
}

#[rustfmt::skip]
const KNOWN: &[(&str, &str)] = &[
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", "Chrome|126.0.0.0|Windows|10|desktop"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.87", "Edge|126.0.2592.87|Windows|10|desktop"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", "Safari|17.5|macOS|10.15.7|desktop"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", "Safari|17.5|iOS|17.5.1|mobile"),
    ("Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.108 Mobile/15E148 Safari/604.1", "Chrome|126.0.6478.108|iOS|16.6|tablet"),
    ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.122 Mobile Safari/537.36", "Chrome|126.0.6478.122|Android|14|mobile"),
    ("Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Safari/537.36", "Samsung Internet|25.0|Android|13|tablet"),
    ("Mozilla/5.0 (Linux; Android 12; SM-G991B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36", "Android WebView|126.0.0.0|Android|12|mobile"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "Firefox|127.0|Linux||desktop"),
    ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0", "Firefox|127.0|Android|14|mobile"),
    ("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer|11.0|Windows|7|desktop"),
    ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1)", "Internet Explorer|8.0|Windows|XP|desktop"),
    ("Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.18", "Opera|12.18|Windows|7|desktop"),
    ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36", "Chrome|125.0.0.0|ChromeOS|14541.0.0|desktop"),
    ("Mozilla/5.0 (Linux; Android 9; AFTMM) AppleWebKit/537.36 (KHTML, like Gecko) Silk/120.1 like Chrome/120.0 Safari/537.36", "Silk|120.1|Android|9|tv"),
    ("Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/6.0 TV Safari/537.36", "Safari|6.0|Tizen|6.0|tv"),
    ("Mozilla/5.0 (PlayStation 5 3.11) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.4 Safari/605.1.15", "Safari|15.4|PlayStation||console"),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot|2.1|||bot"),
    ("Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot|2.1|Android|6.0.1|bot"),
    ("Mozilla/5.0 (compatible; SomeNew-Bot/1.3; +https://some.example/bot)", "SomeNew-Bot|1.3|||bot"),
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "facebookexternalhit|1.1|||bot"),
    ("ELB-HealthChecker/2.0", "ELB-HealthChecker|2.0|||bot"),
    ("kube-probe/1.29", "kube-probe|1.29|||bot"),
    ("curl/8.7.1", "curl|8.7.1|||tool"),
    ("python-requests/2.32.3", "python-requests|2.32.3|||tool"),
    ("Go-http-client/1.1", "Go-http-client|1.1|||tool"),
    ("Java/17.0.2", "Java|17.0.2|||tool"),
    ("MyApp/1.2 (Linux)", "MyApp|1.2|Linux||desktop"),
    ("Dalvik/2.1.0 (Linux; U; Android 11; Pixel 5 Build/RQ3A)", "Dalvik|2.1.0|Android|11|"),
    ("-", "||||"),
    ("", "||||"),
    ("Mozilla/5.0", "||||"),
    ("Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0 Mobile Safari/537.36", "Chrome|90.0|Android|9|mobile"),
    ("robots are here", "||||"),
];

#[test]
fn well_known_agents_are_read() {
    for (text, wanted) in KNOWN {
        assert_eq!(read(text), *wanted, "{text}");
    }
}

#[test]
fn the_major_version_is_a_number() {
    assert_eq!(Agent::of("curl/8.7.1").major(), Some(8));
    assert_eq!(Agent::of("curl/99999999999999999999").major(), None);
    assert_eq!(Agent::of("curl").major(), None);
}

#[test]
fn any_text_is_read_without_a_panic_and_within_its_bound() {
    for (text, _) in KNOWN {
        for end in 0..=text.len() {
            let cut = format!("é{}é", &text[..end]);
            Agent::of(&cut);
        }
    }
    Agent::of(&"é/".repeat(100_000));
    assert_eq!(Agent::of(&format!("{}curl/8", " ".repeat(2048))).family, None);
}
