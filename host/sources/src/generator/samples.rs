//! Records as the world writes them, each a pure function of a seed and its number, so that any of them can be
//! made again.

use std::io::Write;

use fastrand::Rng;
use jiff::Timestamp;

/// When record 0 happened: 2026-01-01T00:00:00Z, in seconds since 1970. Each further record comes a millisecond later.
const BEGIN: i64 = 1_767_225_600;

/// Length of an nginx line without its newline, in bytes.
pub const NGINX_LINE: usize = 240;

const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "curl/8.5.0",
    "Go-http-client/2.0",
];
const PATHS: [&str; 8] =
    ["/", "/i", "/index.html", "/api/v1/orders", "/api/v1/items/", "/static/app.js", "/login", "/health"];
const REFERERS: [&str; 4] =
    ["-", "https://www.example.com/", "https://search.example.org/?q=logs", "https://shop.example.net/cart"];
const STATUS: [u16; 10] = [200, 200, 200, 200, 200, 200, 304, 301, 404, 500];

/// The generator of record `number`'s values.
fn random(seed: u64, number: u64) -> Rng {
    Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The time of record `number`, in ns since 1970.
pub fn time(number: u64) -> i64 {
    (BEGIN * 1000 + number as i64) * 1_000_000
}

fn timestamp(number: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(time(number))).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Appends nginx's combined log line of record `number`: [`NGINX_LINE`] bytes, no newline.
pub fn nginx(seed: u64, number: u64, out: &mut Vec<u8>) {
    let mut rng = random(seed, number);
    let start = out.len();
    let time = timestamp(number).strftime("%d/%b/%Y:%H:%M:%S +0000");
    let ip = rng.u32(..).to_be_bytes();
    let method = if rng.u8(..10) == 0 { "POST" } else { "GET" };
    let path = PATHS[rng.usize(..PATHS.len())];
    let agent = AGENTS[rng.usize(..AGENTS.len())];
    let referer = REFERERS[rng.usize(..REFERERS.len())];
    let status = STATUS[rng.usize(..STATUS.len())];
    let size = rng.u32(43..90_000);
    let tail = format!(" HTTP/1.1\" {status} {size} \"{referer}\" \"{agent}\"");
    let [a, b, c, d] = ip;
    write!(out, "{a}.{b}.{c}.{d} - - [{time}] \"{method} {path}?q=").expect("a vector takes all");
    // The query fills the line up, so that every line has the same length.
    let fill = NGINX_LINE.saturating_sub(out.len() - start + tail.len());
    out.extend(std::iter::repeat_with(|| rng.alphanumeric() as u8).take(fill));
    out.extend_from_slice(tail.as_bytes());
}

/// One message of Docker's fluentd log driver.
#[derive(Debug)]
pub struct DockerRecord {
    /// 64 hexadecimal digits.
    pub container_id: String,
    /// With a slash before it.
    pub container_name: &'static str,
    /// `stdout` or `stderr`.
    pub source: &'static str,
    /// The line, without its newline.
    pub log: String,
}

const CONTAINERS: [&str; 4] = ["/web-1", "/api-1", "/worker-1", "/db-1"];

/// The Docker record of this number.
pub fn docker(seed: u64, number: u64) -> DockerRecord {
    let mut rng = random(seed, number);
    let which = rng.usize(..CONTAINERS.len());
    let mut identity = Rng::with_seed(seed ^ which as u64);
    let container_id = std::iter::repeat_with(|| identity.digit(16)).take(64).collect();
    let level = ["info", "info", "info", "warn", "error"][rng.usize(..5)];
    let millis = rng.u32(1..900);
    let order = rng.u32(..);
    let log =
        format!("level={level} time={} msg=\"order {order} handled\" took={millis}ms", timestamp(number));
    let source = if level == "error" { "stderr" } else { "stdout" };
    DockerRecord { container_id, container_name: CONTAINERS[which], source, log }
}

/// The web event of this number: names and values, all text but `device_is_mobile`.
pub fn web_event(seed: u64, number: u64) -> (Vec<(&'static str, String)>, bool) {
    let mut rng = random(seed, number);
    let pick = |rng: &mut Rng, from: &[&str]| from[rng.usize(..from.len())].to_owned();
    let page = pick(&mut rng, &["home", "product_a", "product_b", "cart", "payment", "confirmation"]);
    let source = pick(&mut rng, &["instagram", "facebook", "google", "bing", "newsletter", "direct"]);
    let medium = pick(&mut rng, &["organic", "cpc", "email", "referral"]);
    let mobile = rng.bool();
    let domain = pick(&mut rng, &["hotmail.com", "gmail.com", "example.org", "yahoo.com"]);
    let ip = rng.u32(..).to_be_bytes();
    let click = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        rng.u32(..),
        rng.u16(..),
        rng.u16(..4096),
        rng.u16(..4096),
        rng.u64(..1 << 48)
    );
    let time = timestamp(number).strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
    let agent = AGENTS[rng.usize(..AGENTS.len())].to_owned();
    let fields = vec![
        ("event_timestamp", time),
        ("event_type", "pageview".to_owned()),
        ("page_url", format!("http://www.dummywebsite.com/{page}")),
        ("page_url_path", format!("/{page}")),
        ("referer_url", format!("www.{source}.com")),
        ("referer_url_scheme", "http".to_owned()),
        ("referer_url_port", "80".to_owned()),
        ("referer_medium", "internal".to_owned()),
        ("utm_medium", medium),
        ("utm_source", source),
        ("utm_content", format!("ad_{}", rng.u8(1..6))),
        ("utm_campaign", format!("campaign_{}", rng.u8(1..4))),
        ("click_id", click),
        ("geo_latitude", format!("{:.5}", rng.f64() * 180.0 - 90.0)),
        ("geo_longitude", format!("{:.5}", rng.f64() * 360.0 - 180.0)),
        ("geo_country", pick(&mut rng, &["US", "DE", "AR", "PL", "JP"])),
        ("ip_address", format!("{}.{}.{}.{}", ip[0], ip[1], ip[2], ip[3])),
        ("browser_name", pick(&mut rng, &["Firefox", "Chrome", "Safari", "Edge"])),
        ("browser_user_agent", agent),
        ("os_name", pick(&mut rng, &["Android", "iOS", "Linux", "Windows"])),
        ("device_type", if mobile { "Mobile" } else { "Computer" }.to_owned()),
        ("user_custom_id", format!("user{}@{domain}", rng.u32(..10_000))),
    ];
    (fields, mobile)
}

#[cfg(test)]
mod tests;
