use std::os::unix::ffi::OsStringExt;

use super::*;
use crate::config::tree::parse;

fn run(source: &str, folder: &Path) -> Result<Vec<(String, bool)>, Vec<SyntaxError>> {
    let mut tree = parse(source).unwrap();
    let variable = |name: &str| match name {
        "USER" => Some("ada".into()),
        "EMPTY" => Some("".into()),
        "TRICK" => Some("x\nadmin: {listen: 0.0.0.0:1} ${USER}".into()),
        "LATIN" => Some(OsString::from_vec(b"Gr\xfc\xdfe".to_vec())),
        _ => None,
    };
    let wrong = interpolate(&mut tree, source, &Outside { variable: &variable, folder }, &|_| Ok(()));
    let Value::Map(entries) = tree.value else { panic!() };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(entries
        .into_iter()
        .map(|e| match e.value.value {
            Value::Scalar(scalar) => (scalar.text, scalar.interpolated),
            _ => panic!(),
        })
        .collect())
}

fn one(value: &str) -> (String, bool) {
    run(&format!("a: {value}"), Path::new(".")).unwrap().remove(0)
}

#[test]
fn variables_and_defaults_are_put_in() {
    assert_eq!(one("${USER}"), ("ada".into(), true));
    assert_eq!(one("'host-${USER}:${PORT:-9092}'"), ("host-ada:9092".into(), true));
    assert_eq!(one("'${EMPTY}'"), (String::new(), true));
    assert_eq!(one("'${EMPTY:-full}'"), ("full".into(), true));
}

#[test]
fn a_dollar_without_a_brace_and_an_escaped_one_stay() {
    for text in ["$ConnectionString", "5$", "$$", "a$b"] {
        assert_eq!(one(text), (text.into(), false));
    }
    assert_eq!(one("'$${USER}'"), ("${USER}".into(), false));
    assert_eq!(one("'$${a} ${USER}'"), ("${a} ada".into(), true));
}

#[test]
fn a_value_cannot_change_the_structure_and_is_not_read_again() {
    assert_eq!(one("${TRICK}").0, "x\nadmin: {listen: 0.0.0.0:1} ${USER}");
}

#[test]
fn a_file_stands_for_a_value_without_its_last_newline() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "s3cret\n").unwrap();
    assert_eq!(run("a: ${file:key}", folder.path()).unwrap(), [("s3cret".into(), true)]);
    let wrong = run("a: ${file:absent}", folder.path()).unwrap_err();
    assert!(wrong[0].message.contains("absent"), "{}", wrong[0].message);
}

#[test]
fn the_bytes_of_a_file_stand_for_a_value_as_base64() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("set"), b"\xff\x00\n").unwrap();
    assert_eq!(run("a: ${base64:set}", folder.path()).unwrap(), [("/wAK".into(), true)]);
    std::fs::write(folder.path().join("large"), vec![0; (1 << 20) + 1]).unwrap();
    for (path, reason) in [("absent", "absent"), ("large", "more than 1 MiB"), (".", "directory")] {
        let wrong = run(&format!("a: ${{base64:{path}}}"), folder.path()).unwrap_err();
        assert!(wrong[0].message.contains(reason), "{}", wrong[0].message);
    }
}

#[test]
fn a_byte_order_mark_before_a_file_is_no_part_of_its_text() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "\u{feff}s3cret\r\n").unwrap();
    assert_eq!(run("a: ${file:key}", folder.path()).unwrap(), [("s3cret".into(), true)]);
    assert_eq!(run("a: ${base64:key}", folder.path()).unwrap(), [("77u/czNjcmV0DQo=".into(), true)]);
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    let wrong = run("a: ${file:pipe}", folder.path()).unwrap_err();
    assert!(wrong[0].message.contains("no regular file"), "{}", wrong[0].message);
}

#[test]
fn a_placeholder_inside_of_another_is_refused_at_its_place() {
    let source = "a: 'x ${NOPE:-${USER}} y'\nb: '${USER:-$${x}}'\nc: '${file:${USER}}'\n";
    let wrong = run(source, Path::new(".")).unwrap_err();
    let places: Vec<&str> = wrong.iter().map(|w| &source[w.location.start..w.location.end]).collect();
    assert_eq!(places, ["${NOPE:-${USER}", "${USER:-$${x}", "${file:${USER}"]);
    assert!(wrong.iter().all(|wrong| wrong.help.is_some()));
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let source = "a: x ${NOPE} y\nb: '${'\nc: '${1}'\n";
    let wrong = run(source, Path::new(".")).unwrap_err();
    let places: Vec<&str> = wrong.iter().map(|w| &source[w.location.start..w.location.end]).collect();
    assert_eq!(places, ["${NOPE}", "${", "${1}"]);
    assert!(wrong[0].help.as_ref().unwrap().contains("${NOPE:-default}"));
    assert!(wrong[2].help.as_ref().unwrap().contains("$${1}"));
}

#[test]
fn a_variable_that_is_no_text_is_told_as_such_also_where_there_is_a_default() {
    for source in ["a: ${LATIN}", "a: x${LATIN:-default}"] {
        let wrong = run(source, Path::new(".")).unwrap_err();
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].message, "the environment variable `LATIN` is not UTF-8 text");
        assert!(source[wrong[0].location.start..].starts_with("${LATIN"));
    }
}
