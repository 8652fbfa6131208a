use std::path::PathBuf;

use super::*;

/// A database of MaxMind's for tests.
fn database(name: &str) -> Networks {
    Networks::read(&folder("test-data").join(name)).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = flitch_tests::cache().join("maxmind").join(name);
    assert!(folder.is_dir(), "no databases in {}: run `make servers`", folder.display());
    folder
}

/// What is answered for one address, a value for each path, as JSON.
fn answer(networks: &Networks, address: &str, want: &[&str]) -> Option<Vec<Value>> {
    let want: Vec<String> = want.iter().map(|&path| path.to_owned()).collect();
    let bounds = Bounds::none();
    let mut question = networks.ask(&want, &bounds);
    let row = question.find(address.as_bytes()).unwrap()? as usize;
    let answers = question.answers();
    let value = |number: usize| {
        let column = answers.column(&number.to_string());
        column.and_then(|column| column.value(row)).map_or(Value::Null, |value| {
            let mut text = Vec::new();
            value.write_json(&mut text);
            serde_json::from_slice(&text).unwrap()
        })
    };
    Some((0..want.len()).map(value).collect())
}

#[test]
fn an_address_has_the_values_of_its_network_and_lists_are_reached_by_number() {
    let cities = database("GeoLite2-City-Test.mmdb");
    let want = [
        "country.iso_code",
        "city.names.en",
        "subdivisions.0.iso_code",
        "location.latitude",
        "city.geoname_id",
    ];
    let found = answer(&cities, "2.125.160.216", &want).unwrap();
    assert_eq!(Value::from(found), serde_json::json!(["GB", "Boxford", "ENG", 51.75, 2_655_045]));
    let mapped = answer(&cities, "::ffff:2.125.160.216", &["country.iso_code"]).unwrap();
    assert_eq!(mapped, ["GB"], "an address of version 4 that is written as one of version 6");
    let six = answer(&cities, "2001:218::1", &["country.iso_code", "country"]).unwrap();
    assert_eq!(six[0], "JP");
    assert_eq!(six[1]["names"]["en"], "Japan", "what is no single value is json: {}", six[1]);
}

#[test]
fn what_is_no_address_or_in_no_network_has_no_answer() {
    let cities = database("GeoLite2-City-Test.mmdb");
    for address in ["", "-", "2.125.160", "10.0.0.1", "127.0.0.1:80", "fe80::1"] {
        assert_eq!(answer(&cities, address, &["country.iso_code"]), None, "{address}");
    }
    let four = database("MaxMind-DB-test-ipv4-24.mmdb");
    assert_eq!(answer(&four, "2001:218::1", &["ip"]), None, "it knows no addresses of version 6");
}

#[test]
fn a_path_that_a_record_has_not_is_absent_and_its_neighbours_are_there() {
    let cities = database("GeoLite2-City-Test.mmdb");
    let want = ["town", "country.iso_code.more", "subdivisions.9.iso_code", "country.iso_code"];
    let found = answer(&cities, "2.125.160.216", &want).unwrap();
    assert_eq!(Value::from(found), serde_json::json!([null, null, null, "GB"]));
}

#[test]
fn many_addresses_of_one_network_are_one_answer_and_no_more_is_held_than_may_be() {
    let networks = database("GeoIP2-ISP-Test.mmdb");
    let want = ["isp".to_owned()];
    let bounds = Bounds::none();
    let mut question = networks.ask(&want, &bounds);
    let rows: Vec<_> = (1..100).map(|n| question.find(format!("1.128.0.{n}").as_bytes()).unwrap()).collect();
    assert!(rows.iter().all(|row| *row == Some(0)), "{rows:?}");
    let tight = Bounds { bytes: 1, ..Bounds::none() };
    assert_eq!(networks.ask(&want, &tight).find(b"1.128.0.1"), Err(LookupError::TooMuch));
    let late = Bounds::late();
    assert_eq!(networks.ask(&want, &late).find(b"1.128.0.1"), Err(LookupError::Late));
}

/// A database of 128 nodes, the root first, whose last one leads to `last`; each other one leads to the next by both bits.
fn forking(last: u32) -> Vec<u8> {
    let text = |text: &str| [&[0x40 | text.len() as u8], text.as_bytes()].concat();
    let number = |number: u8| vec![0xa1, number];
    let nodes = (1..128).chain([last]).flat_map(|next| [next, next].map(|to: u32| to.to_be_bytes()));
    let tree = nodes.flat_map(|[_, high, middle, low]| [high, middle, low]);
    let pairs = [
        ("binary_format_major_version", number(2)),
        ("binary_format_minor_version", number(0)),
        ("build_epoch", vec![0x01, 0x02, 1]),
        ("database_type", text("Test")),
        ("description", vec![0xe0]),
        ("ip_version", number(6)),
        ("languages", vec![0x00, 0x04]),
        ("node_count", vec![0xc1, 128]),
        ("record_size", number(24)),
    ];
    let mut file: Vec<u8> = tree.chain([0; 16]).chain(text("known")).collect();
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    file.push(0xe0 | pairs.len() as u8);
    pairs.into_iter().for_each(|(name, value)| file.extend([text(name), value].concat()));
    file
}

#[test]
fn a_tree_that_leads_to_nothing_in_more_ways_than_can_be_gone_is_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.mmdb");
    std::fs::write(&path, forking(128)).unwrap();
    let networks = Networks::read(&path).unwrap();
    assert_eq!(networks.len(), 128);
    assert_eq!(answer(&networks, "2001:218::1", &["a"]), None);
    // The value is there, whichever way leads to it.
    std::fs::write(&path, forking(128 + 16)).unwrap();
    let networks = Networks::read(&path).unwrap();
    assert_eq!(answer(&networks, "2001:218::1", &[""]).map(|found| found.len()), Some(1));
}

/// MaxMind's own collection of files that broke readers: cycles, lengths beyond the end, deep nesting, pointers that
/// multiply.
#[test]
fn hostile_files_are_refused_or_answer_within_bounds() {
    let mut files = Vec::new();
    for folder in [folder("bad-data"), folder("test-data")] {
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "mmdb") {
                    files.push(path);
                }
            }
        }
    }
    let mut refused = 0;
    for file in &files {
        match Networks::read(file) {
            Err(error) => {
                refused += 1;
                assert!(format!("{error:#}").contains("cannot read"), "{error:#}");
            }
            Ok(networks) => {
                for address in ["1.1.1.1", "1.128.0.1", "2.125.160.216", "::1", "2001:218::1"] {
                    let _ = answer(&networks, address, &["", "0", "country", "map.mapX", "array.0"]);
                }
            }
        }
    }
    assert!(files.len() > 60 && refused > 5, "{refused} of {} are refused", files.len());
}
