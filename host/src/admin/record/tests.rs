use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use flitch_filters::FilterSettings;

use super::*;

#[test]
fn a_recording_is_bounded_and_what_it_is_not_is_said() {
    let hosts = Hosts::new(std::net::Ipv4Addr::LOCALHOST.into(), std::iter::empty());
    let ask = |uri: &str| {
        let request = Request::post(uri).header("host", "localhost").body(()).unwrap();
        asked(&request, &hosts)
    };
    let good = ask("/api/filters/a%2Fb/record?for=2s&records=5&bytes=1KiB").unwrap().unwrap();
    let bounds = Bounds { time: Duration::from_secs(2), records: 5, bytes: 1024 };
    assert_eq!(good, Asked { filter: "a/b".to_owned(), bounds });
    assert_eq!(ask("/api/filters/a/record").unwrap().unwrap().bounds.records, 1000);
    for wrong in ["for=1d", "records=0", "bytes=1GiB", "records=x", "for=soon", "rows=1"] {
        let refused = ask(&format!("/api/filters/a/record?{wrong}")).unwrap().unwrap_err();
        assert_eq!(refused.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert!(ask("/api/filters/a/swap").is_none());
    let get = Request::get("/api/filters/a/record").header("host", "localhost").body(()).unwrap();
    assert_eq!(asked(&get, &hosts).unwrap().unwrap_err().0, StatusCode::METHOD_NOT_ALLOWED);
    let page =
        Request::post("/api/filters/a/record").header("host", "localhost").header("origin", "http://x");
    assert_eq!(asked(&page.body(()).unwrap(), &hosts).unwrap().unwrap_err().0, StatusCode::FORBIDDEN);
}

#[test]
fn a_case_is_its_owners_alone_holds_no_secret_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "from-a-file").unwrap();
    let config = folder.path().join("flitch.yaml");
    std::fs::write(
        &config,
        "sources: { in: { type: generator, format: nginx } }\nfilters: { mine: { plugin: set, settings: { set: { password: \
         hunter22, a: \"${file:key}\", b: [1, x] } } } }\noutputs: { out: { type: blackhole } }\npipelines: { main: { from: [in], \
         filters: [mine], to: [out] } }\n",
    )
    .unwrap();
    let home = Home { config: config.clone(), data_dir: folder.path().join("data") };
    let mut settings = FilterSettings::of("set");
    settings.settings = json!({"set": {"password": "hunter22", "a": "from-a-file", "b": [1, "x"]}});
    let recorded = Recorded {
        settings: Some(settings),
        records: 1,
        input: b"{}\n".to_vec(),
        rejected: vec![(0, Arc::from("no"))],
        ..Recorded::default()
    };
    let written = write(&home, None, "mine", &recorded).unwrap().unwrap();
    for (name, content) in
        [("in.ndjson", "{}\n"), ("out.ndjson", ""), ("rejected.ndjson", "{\"reason\":\"no\",\"row\":0}\n")]
    {
        let path = written.join(name);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(written.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let shown: Value =
        serde_json::from_slice(&std::fs::read(written.join("settings.json")).unwrap()).unwrap();
    assert_eq!(shown, json!({"set": {"password": "***", "a": "***", "b": [1, "x"]}}));
    for number in 0..KEPT {
        std::fs::create_dir(folder.path().join("data").join(FOLDER).join(number.to_string())).unwrap();
    }
    thin_out(&folder.path().join("data").join(FOLDER)).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join("data").join(FOLDER)).unwrap().count(), KEPT - 1);
    assert!(write(&home, None, "mine", &Recorded::default()).unwrap().is_none());
    std::fs::write(&config, "nonsense").unwrap();
    let error = write(&home, None, "mine", &recorded).unwrap_err();
    assert!(error.to_string().contains("which settings are secret"), "{error:#}");
}
