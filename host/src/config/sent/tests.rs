use std::fmt::Write;

use super::*;

const OWN: &str = "
data_dir: /var/lib/flitch
admin: { listen: 127.0.0.1:9000 }
plugins: { max_bytes: 64MiB }
manage:
  opamp: { endpoint: \"ws://127.0.0.1:4320\" }
  allow: { hosts: [kafka.example.com] }
";
const GOOD: &str = "
sources: { in: { type: generator, format: nginx } }
outputs: { out: { type: blackhole } }
pipelines: { main: { from: [in], to: [out] } }
";

fn own(text: &str) -> Config {
    let outside = Outside { variable: &|_| None, folder: Path::new("/") };
    super::super::load::parse("flitch.yaml", text, &outside).unwrap().config
}

fn refused(text: &str) -> String {
    sent(text, &own(OWN), Path::new("/etc/flitch")).unwrap_err().to_string()
}

#[test]
fn what_belongs_to_the_machine_stays_as_it_is() {
    let own = own(OWN);
    let loaded = sent(GOOD, &own, Path::new("/etc/flitch")).unwrap();
    let config = loaded.config;
    assert_eq!((config.data_dir, config.admin, config.manage), (own.data_dir, own.admin, own.manage));
    assert_eq!(config.plugins, own.plugins, "whose signatures count");
    assert_eq!(config.pipelines.len(), 1);
}

#[test]
fn a_machine_that_is_managed_may_wait_for_pipelines_and_a_server_sends_no_such_thing() {
    assert!(own(OWN).pipelines.is_empty());
    for empty in
        ["", "# nothing", "{}", "sources: { in: { type: generator, format: nginx } }", "pipelines: {}"]
    {
        let said = refused(empty);
        assert!(said.contains("there is no pipeline"), "{empty}: {said}");
    }
}

#[test]
fn a_server_sets_nothing_of_the_machine() {
    for key in [
        "manage: { allow: { hosts: [\"*\"] } }",
        "data_dir: /tmp",
        "admin: { listen: 0.0.0.0:1 }",
        "plugins: {}",
    ] {
        let said = refused(&format!("{key}\n{GOOD}"));
        let name = key.split(':').next().unwrap();
        assert!(said.starts_with("the server's configuration:1:1: "), "{said}");
        assert!(said.contains(&format!("`{name}` belongs to the machine")), "{said}");
    }
    let said = refused(&format!("manages: {{}}\n{GOOD}"));
    assert!(said.contains("did you mean `manage`") || said.contains("unknown key"), "{said}");
}

#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    let said = refused(&GOOD.replace("blackhole", "blackholes"));
    assert!(said.starts_with("the server's configuration:3:25: "), "{said}");
}

#[test]
fn ten_thousand_filters_are_refused_before_they_are_read() {
    let mut text = GOOD.to_owned() + "filters:\n";
    for n in 0..10_000 {
        let _ = writeln!(text, "  f{n}: {{ plugin: set, settings: {{ set: {{ n: {n} }} }} }}");
    }
    let ((), held) = crate::memory::peak_of(|| drop(refused(&text)));
    assert!(held < 1 << 20, "{held}");
    assert!(refused(&text).contains("more than 50000 keys and values"));
    let few: String = (0..1_500).map(|n| format!("  f{n}: {{ plugin: set }}\n")).collect();
    assert!(refused(&format!("{GOOD}filters:\n{few}")).contains("it has 1503 parts"));
}

#[test]
fn lists_and_maps_without_anything_in_them_are_counted_too() {
    for (nothing, section) in [("[],", "tests: "), ("{},", "x: ")] {
        let text = format!("{GOOD}{section}[{}]\n", nothing.repeat(1 << 20));
        let ((), held) = crate::memory::peak_of(|| drop(refused(&text)));
        assert!(held < 1 << 20, "{held}");
        assert!(refused(&text).contains("more than 50000 keys and values"));
    }
}

#[test]
fn ten_thousands_of_names_that_point_nowhere_in_one_line_are_refused_in_a_few_words() {
    let names: String = (0..40_000).map(|number| format!("out{number}, ")).collect();
    let text = GOOD.replace("to: [out]", &format!("to: [{names}]"));
    let error = sent(&text, &own(OWN), Path::new("/etc/flitch")).unwrap_err();
    let (told, held) = crate::memory::peak_of(|| [error.report(false), error.to_string()]);
    assert!(held < 4 << 20, "{held}");
    assert!(told.iter().all(|told| told.contains("`out0`") && told.contains("and 960 more")), "{told:?}");
}

#[test]
fn a_text_that_is_nested_without_an_end_is_refused() {
    let deep = format!("{GOOD}x-deep: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(!refused(&deep).is_empty());
    let lines: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(refused(&lines).contains("nested deeper than 100"), "{}", refused(&lines));
    let wide: String = (0..40_000).map(|n| format!("k{n}: 1\n")).collect();
    assert!(!refused(&wide).is_empty());
}
