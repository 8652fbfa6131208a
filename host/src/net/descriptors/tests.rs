use super::*;

fn config(connections: usize) -> Config {
    let text = format!(
        r#"
sources:
  web: {{ type: http, listen: "127.0.0.1:1", max_connections: {connections} }}
  logs: {{ type: file, include: [/var/log/*.log], max_open_files: 200 }}
  unused: {{ type: http, listen: "127.0.0.1:2", max_connections: 60000 }}
outputs:
  nowhere: {{ type: blackhole }}
pipelines:
  all: {{ from: [web, logs], to: [nowhere] }}
"#
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flitch.yaml");
    std::fs::write(&path, text).unwrap();
    crate::config::load(&path).unwrap().config
}

#[test]
fn what_may_be_open_at_once_is_held_against_the_limit_of_the_system() {
    assert_eq!(excess(&config(500), Some(1024)), None);
    let excess = excess(&config(900), Some(1024)).unwrap();
    assert!((1164..1300).contains(&excess.needed), "{excess:?}");
    assert_eq!((excess.most, &*excess.largest.0), (1024, "sources.web"));
    assert_eq!(super::excess(&config(60_000), None), None, "there is no limit");
}

#[test]
fn the_limit_is_raised_as_far_as_it_goes() {
    assert_eq!(raise().unwrap(), most());
    assert_eq!(getrlimit(Resource::Nofile).current, most());
}
