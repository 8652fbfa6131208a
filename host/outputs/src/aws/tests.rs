use std::path::Path;

use super::*;
use flitch_core::hex;

/// What is found with these variables, and this text as the configuration of AWS's tools.
fn found(named: Option<&str>, variables: &[(&str, &str)], config: Option<&Path>) -> Result<Found, String> {
    let env = |name: &str| {
        let set = variables.iter().find(|(set, _)| *set == name);
        set.map(|(_, value)| (*value).to_owned())
    };
    let config = config.map(|path| path.to_string_lossy().into_owned());
    let files = Files::of(|name| config.clone().filter(|_| name == "AWS_CONFIG_FILE"));
    Found::of_files(named, env, files).map_err(|error| format!("{error:#}"))
}

const CONFIG: &str = "[default]
region = eu-west-3
aws_access_key_id = a
aws_secret_access_key = b
[profile pod]
role_arn = r
web_identity_token_file = /var/token
[profile region]
region = eu-north-1
";

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];

#[test]
fn the_order_in_which_credentials_are_looked_for_is_that_of_aws() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, CONFIG).unwrap();
    let of = |named, variables: &[(&str, &str)]| found(named, variables, Some(&file)).unwrap();
    let is_environment = |found: &Found| matches!(found.credentials, Credentials::Environment);
    // Keys of the environment come before a profile that the environment names, and after one of the settings.
    let [id, key] = KEYS;
    assert!(is_environment(&of(None, &KEYS)));
    assert!(is_environment(&of(None, &[id, key, ("AWS_PROFILE", "pod")])));
    assert!(matches!(of(Some("default"), &KEYS).credentials, Credentials::Provider(_)));
    // By itself the default profile counts, and one without credentials leaves it to the machine.
    let default = of(None, &[]);
    assert!(matches!(default.credentials, Credentials::Provider(_)));
    assert_eq!(default.region.as_deref(), Some("eu-west-3"));
    let region = of(None, &[("AWS_PROFILE", "region")]);
    assert!(is_environment(&region));
    assert_eq!(region.region.as_deref(), Some("eu-north-1"));
    assert_eq!(of(None, &[("AWS_DEFAULT_REGION", "r")]).region.as_deref(), Some("r"));
    let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/");
    assert!(is_environment(&of(None, &[id, key, container])));
    let left_to_it = of(None, &[("AWS_PROFILE", "region"), container]);
    assert!(matches!(left_to_it.credentials, Credentials::Provider(_)));
    let Credentials::Configured(pairs) = of(Some("pod"), &[]).credentials else { panic!() };
    assert_eq!(pairs[0].1, "/var/token");
}

#[test]
fn services_of_china_have_a_domain_of_their_own() {
    assert_eq!(domain("cn-northwest-1"), "amazonaws.com.cn");
    assert_eq!(domain("eu-central-1"), "amazonaws.com");
}

#[test]
fn a_profile_that_somebody_names_must_be_there() {
    for (named, variables) in [(Some("none"), &[][..]), (None, &[("AWS_PROFILE", "none")])] {
        let error = found(named, variables, None).unwrap_err();
        assert!(error.contains("`profile`") && error.contains("no profile `none`"), "{error}");
    }
    assert!(matches!(found(None, &[], None).unwrap().credentials, Credentials::Environment));
}

/// A signature as AWS's *Signature Version 4* describes it, for lines `name:value` in order, of which all are signed.
fn signature(request: [&str; 3], lines: &[String], body: &str, at: [&str; 3], secret: &str) -> String {
    use sha2::{Digest, Sha256};
    // RFC 2104.
    let hmac = |key: &[u8], text: &[u8]| {
        let pad = |with: u8| {
            let mut block = [with; 64];
            key.iter().enumerate().for_each(|(n, byte)| block[n] ^= byte);
            block
        };
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
        Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
    };
    let names: Vec<&str> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
    let [method, path, query] = request;
    let (headers, names) = (lines.join("\n"), names.join(";"));
    let canonical = format!("{method}\n{path}\n{query}\n{headers}\n\n{names}\n{body}");
    let [time, region, service] = at;
    let day = &time[..8];
    let digest = hex::encode(&Sha256::digest(canonical));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{day}/{region}/{service}/aws4_request\n{digest}");
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, text| hmac(&key, text.as_bytes()));
    hex::encode(&hmac(&key, to_sign.as_bytes()))
}

const EXAMPLE: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn the_tests_sign_as_the_test_suite_of_aws_does() {
    let at = ["20150830T123600Z", "us-east-1", "service"];
    let lines = ["host:example.amazonaws.com", "x-amz-date:20150830T123600Z"].map(str::to_owned);
    for (request, expected) in [
        (["GET", "/", ""], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (["POST", "/", ""], "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            ["GET", "/", "Param1=value1&Param2=value2"],
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ] {
        assert_eq!(signature(request, &lines, NOTHING, at, EXAMPLE), expected, "{request:?}");
    }
    // The second vector with a body, and the first example of the reference of S3.
    let body = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    let form = "content-type:application/x-www-form-urlencoded".to_owned();
    let lines = [&[form][..], &lines].concat();
    assert_eq!(
        signature(["POST", "/", ""], &lines, body, at, EXAMPLE),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    );
    let lines = [
        "host:examplebucket.s3.amazonaws.com".to_owned(),
        "range:bytes=0-9".to_owned(),
        format!("x-amz-content-sha256:{NOTHING}"),
        "x-amz-date:20130524T000000Z".to_owned(),
    ];
    let at = ["20130524T000000Z", "us-east-1", "s3"];
    assert_eq!(
        signature(["GET", "/test.txt", ""], &lines, NOTHING, at, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
}

#[test]
fn requests_are_signed_as_the_test_suite_of_aws_does() {
    use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
    use sha2::{Digest, Sha256};
    let token = "to/ken+with=signs".to_owned();
    for (url, path, query) in [
        ("https://search.example.com/_bulk", "/_bulk", ""),
        ("https://search.example.com/logs-2026.11.26/_bulk?b=2&a=x", "/logs-2026.11.26/_bulk", "a=x&b=2"),
        ("https://search.example.com:9200/", "/", ""),
    ] {
        let credential = AwsCredential {
            key_id: "AKIDEXAMPLE".to_owned(),
            secret_key: EXAMPLE.to_owned(),
            token: Some(token.clone()),
        };
        let url = Url::parse(url).unwrap();
        let body = bytes::Bytes::from_static(b"{\"create\":{}}\n{\"m\":\"a\"}\n");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/x-ndjson".parse().unwrap());
        sign(&credential, ("es", "eu-central-1"), (&Method::POST, &url), &mut headers, &body).unwrap();
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let authorization = headers[AUTHORIZATION].to_str().unwrap();
        let time = text("x-amz-date");
        let digest = hex::encode(&Sha256::digest(&body));
        assert_eq!(text("x-amz-content-sha256"), digest);
        let scope = format!("Credential=AKIDEXAMPLE/{}/eu-central-1/es/aws4_request", &time[..8]);
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let names = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
        let lines = [
            "content-type:application/x-ndjson".to_owned(),
            format!("host:search.example.com{port}"),
            format!("x-amz-content-sha256:{digest}"),
            format!("x-amz-date:{time}"),
            format!("x-amz-security-token:{token}"),
        ];
        let at = [&*time, "eu-central-1", "es"];
        let signature = signature(["POST", path, query], &lines, &digest, at, EXAMPLE);
        let expected = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders={names}, Signature={signature}");
        assert_eq!(authorization, expected);
    }
}
