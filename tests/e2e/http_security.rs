use std::process::Command;

use flitch_tests::flitch::Flitch;
use flitch_tests::ports;
use flitch_tests::process::run;
use flitch_tests::tls::Authority;
use flitch_tests::wait::eventually;

use crate::support::*;

/// A flitch whose HTTP source speaks TLS, wants what these settings say, and delivers nowhere.
struct Secured {
    flitch: Flitch,
    port: u16,
}

impl Secured {
    fn start(authority: &Authority, tls: &str, settings: &str) -> Secured {
        let port = ports::free();
        let source = format!(
            "{{ type: http, listen: \"127.0.0.1:{port}\", tls: {{ cert: \"{{dir}}/server.crt\", \
             key: \"{{dir}}/server.key\"{tls} }}{settings} }}"
        );
        let mut flitch = Flitch::new(FLITCH, &pipeline(&source, &[], "out: { type: blackhole }"));
        authority.write(&flitch.at("ca.crt")).unwrap();
        authority.server().unwrap().write(flitch.dir(), "server").unwrap();
        flitch.run();
        Secured { flitch, port }
    }

    /// curl posts one record with these arguments more; gives the status of the answer. `{dir}` in an argument is the
    /// folder with the certificates.
    fn post(&self, scheme: &str, args: &[&str]) -> anyhow::Result<u16> {
        let dir = self.flitch.dir().to_string_lossy().into_owned();
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "60",
            "--output",
            "/dev/null",
        ]);
        curl.args(["--write-out", "%{http_code}", "--data-binary", "{\"n\":1}", "--header"]);
        curl.arg("Content-Type: application/json").args(args.iter().map(|arg| arg.replace("{dir}", &dir)));
        Ok(run(curl.arg(format!("{scheme}://localhost:{}/", self.port)))?.parse()?)
    }

    #[track_caller]
    fn took(&self, records: u64) {
        let sums = self.flitch.settled(DEADLINE);
        assert_eq!((sums.received, sums.delivered), (records, records), "{sums}");
    }
}

const TRUST: [&str; 2] = ["--cacert", "{dir}/ca.crt"];

#[test]
fn records_are_posted_over_tls_and_nothing_goes_past_it() {
    let secured = Secured::start(&Authority::new("flitch tests").unwrap(), "", "");
    assert_eq!(secured.post("https", &TRUST).unwrap(), 200);
    secured.took(1);
    let error = secured.post("https", &[]).unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    assert!(secured.post("http", &[]).is_err());
    secured.took(1);
}

#[test]
fn a_client_certificate_is_asked_for_where_it_is_required() {
    let authority = Authority::new("flitch tests").unwrap();
    let secured = Secured::start(&authority, ", client_ca: \"{dir}/ca.crt\"", "");
    let dir = secured.flitch.dir();
    authority.client("edge").unwrap().write(dir, "edge").unwrap();
    Authority::new("somebody else").unwrap().client("edge").unwrap().write(dir, "forged").unwrap();
    let showing = |name: &str| {
        let [cert, key] = ["crt", "key"].map(|end| format!("{{dir}}/{name}.{end}"));
        secured.post("https", &[&TRUST[..], &["--cert", &cert, "--key", &key]].concat())
    };
    assert!(secured.post("https", &TRUST).is_err());
    assert!(showing("forged").is_err());
    secured.took(0);
    assert_eq!(showing("edge").unwrap(), 200);
    secured.took(1);
}

#[test]
fn a_token_or_a_password_opens_the_door_and_a_wrong_one_is_answered_401() {
    let auth = ", auth: { bearer: [sesame], basic: { alice: wonderland } }";
    let mut secured = Secured::start(&Authority::new("flitch tests").unwrap(), "", auth);
    let post = |args: &[&str]| secured.post("https", &[&TRUST[..], args].concat()).unwrap();
    for wrong in [
        &[][..],
        &["--oauth2-bearer", "sesam"],
        &["--oauth2-bearer", ""],
        &["--user", "alice:sesame"],
        &["--user", "bob:wonderland"],
        &["--user", "alice:"],
    ] {
        assert_eq!(post(wrong), 401, "{wrong:?}");
    }
    secured.took(0);
    assert_eq!(post(&["--oauth2-bearer", "sesame"]), 200);
    assert_eq!(post(&["--user", "alice:wonderland"]), 200);
    secured.took(2);
    assert!(secured.flitch.terminate(DEADLINE).success());
    let log = secured.flitch.log();
    assert!(!log.contains("sesame") && !log.contains("wonderland"), "{log}");
}

#[test]
fn a_renewed_certificate_is_shown_to_the_next_client() {
    let secured = Secured::start(&Authority::new("flitch tests").unwrap(), "", "");
    let new = Authority::new("renewed").unwrap();
    new.write(&secured.flitch.at("new.crt")).unwrap();
    let trust = ["--cacert", "{dir}/new.crt"];
    assert!(secured.post("https", &trust).is_err());
    new.server().unwrap().write(secured.flitch.dir(), "server").unwrap();
    eventually("the new certificate is shown", DEADLINE, || secured.post("https", &trust).is_ok());
    secured.took(1);
}

#[test]
fn dead_letters_are_sent_again_over_tls_with_the_credentials_of_the_source() {
    let authority = Authority::new("flitch tests").unwrap();
    let auth = ", auth: { basic: { alice: wonderland } }";
    let secured = Secured::start(&authority, ", client_ca: \"{dir}/ca.crt\"", auth);
    let flitch = &secured.flitch;
    authority.client("edge").unwrap().write(flitch.dir(), "edge").unwrap();
    let folder = flitch.at("data/dead-letters");
    let letter = |number: u32| {
        let text = format!(
            "{{\"time\":\"2026-11-20T13:55:36Z\",\"stage\":\"filter\",\"component\":\"f\",\"reason\":\"r\",\"record\":{{\"n\":{number}}}}}\n"
        );
        std::fs::write(folder.join(format!("letters-{number:08}.ndjson")), text).unwrap();
    };
    let path = |name: &str| flitch.at(name).to_string_lossy().into_owned();
    let (config, ca, cert, key) = (path("flitch.yaml"), path("ca.crt"), path("edge.crt"), path("edge.key"));
    let replay = |args: &[&str]| {
        let ended = flitch.cli(&[&["dead-letters", "replay", "-c", &config], args].concat(), "");
        (ended.status.code(), ended.stderr)
    };
    let own = ["--cert", &cert, "--key", &key];
    letter(1);
    // It is known by its own certificate, and the password comes from the configuration.
    assert_eq!(replay(&[&["--to", "in"], &own[..]].concat()).0, Some(0));
    secured.took(1);

    letter(2);
    let url = |user: &str| format!("https://{user}@localhost:{}/", secured.port);
    let (wrong, right) = (url("alice:looking-glass"), url("alice:wonderland"));
    for (args, code, says) in [
        (&["--to", "in"][..], 1, "stay"),
        (&[&["--to", &right], &own[..]].concat(), 64, "`--ca`"),
        (&[&["--to", &wrong, "--ca", &ca], &own[..]].concat(), 1, "401"),
        (&["--to", "im"], 64, "did you mean `in`"),
    ] {
        let (ended, stderr) = replay(args);
        assert_eq!(ended, Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(says) && !stderr.contains("looking-glass"), "{args:?}: {stderr}");
    }
    secured.took(1);
    let (ended, stderr) = replay(&[&["--to", &right, "--ca", &ca], &own[..]].concat());
    assert_eq!(ended, Some(0), "{stderr}");
    secured.took(2);
}
