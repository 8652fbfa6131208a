use super::*;

/// Doubles `n`, drops zeros, rejects what has no `n`, and refuses the setting `no`.
struct Doubles;

impl Executor for Doubles {
    fn configure(&mut self, settings: &Json, _: &[(String, PathBuf)]) -> Result<(), String> {
        if settings.get("no").is_some() { Err("settings.no: it is unknown".to_owned()) } else { Ok(()) }
    }

    fn run(&mut self, ndjson: &str) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        for (row, line) in ndjson.lines().enumerate() {
            let mut record: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
            match record["a"]["n"].as_i64() {
                Some(0) => {}
                Some(n) => {
                    record["a"]["n"] = json!(2 * n);
                    outcome.records.push(record);
                }
                None => outcome.rejected.push((row as u32, "no `n`".to_owned())),
            }
        }
        Ok(outcome)
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Folder {
        let folder = std::env::temp_dir().join(format!("flitch-cases-{name}-{}", std::process::id()));
        let case = folder.join("one");
        fs::create_dir_all(&case).unwrap();
        files.iter().for_each(|(file, text)| fs::write(case.join(file), text).unwrap());
        Folder(folder)
    }

    fn case(&self) -> Case {
        Case::all(&self.0).unwrap().remove(0)
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.0.join("one").join(file)).ok()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_differs_is_told_field_by_field() {
    let folder = Folder::new(
        "differs",
        &[
            ("settings.json", "{}"),
            ("in.ndjson", "{\"a\":{\"n\":1,\"b\":1},\"c\":1}\n{\"a\":{\"n\":0}}\n{}\n"),
            ("out.ndjson", "{\"a\":{\"n\":3,\"b\":1},\"d\":1}\n{\"e\":1}\n"),
        ],
    );
    assert_eq!(
        folder.case().run(&mut Doubles).unwrap_err(),
        "record 0 of those that go on:\n  `a.n` is 2, and should be 3\n  `c` is 1, and should be missing\n  \
         `d` is missing, and should be 1\n\
         1 records go on, and 2 should; the first that is missing:\n  {\"e\":1}\n\
         rejected are\n  row 2: no `n`\nand should be\n  none"
    );
}

#[test]
fn a_blessed_case_holds_and_is_not_written_again() {
    let folder = Folder::new(
        "bless",
        &[("settings.json", "{}"), ("in.ndjson", "{\"a\":{\"n\":4}}\n{}\n"), ("refused.txt", "x")],
    );
    assert_eq!(folder.case().bless(&mut Doubles), Ok(true));
    assert_eq!(folder.text("out.ndjson").unwrap(), "{\"a\":{\"n\":8}}\n");
    assert_eq!(folder.text("rejected.ndjson").unwrap(), "{\"reason\":\"no `n`\",\"row\":1}\n");
    assert_eq!(folder.text("refused.txt"), None);
    assert_eq!(folder.case().run(&mut Doubles), Ok(()));
    assert_eq!(folder.case().bless(&mut Doubles), Ok(false));
}

#[test]
fn settings_that_are_refused_are_a_case_too() {
    let folder =
        Folder::new("refused", &[("settings.json", "{\"no\":1}"), ("in.ndjson", "{}\n"), ("out.ndjson", "")]);
    let error = folder.case().run(&mut Doubles).unwrap_err();
    assert_eq!(error, "the settings are refused: settings.no: it is unknown");
    assert_eq!(folder.case().bless(&mut Doubles), Ok(true));
    assert_eq!(folder.text("refused.txt").unwrap(), "settings.no: it is unknown\n");
    assert_eq!(folder.text("out.ndjson"), None);
    assert_eq!(folder.case().run(&mut Doubles), Ok(()));
}

#[test]
fn a_file_that_is_wrong_is_named() {
    let folder = Folder::new("wrong", &[("settings.json", "{")]);
    assert!(Case::all(&folder.0).unwrap_err().contains("one/settings.json"));
    let folder = Folder::new("missing", &[("settings.json", "{}")]);
    assert!(folder.case().run(&mut Doubles).unwrap_err().contains("one/in.ndjson"));
}

/// Numbers the records of each batch from 1.
struct Counts;

impl Executor for Counts {
    fn configure(&mut self, _: &Json, _: &[(String, PathBuf)]) -> Result<(), String> {
        Ok(())
    }

    fn run(&mut self, ndjson: &str) -> Result<Outcome, String> {
        let records = ndjson.lines().enumerate().map(|(row, _)| json!({"row": row + 1})).collect();
        Ok(Outcome { records, rejected: Vec::new() })
    }
}

#[test]
fn a_filter_whose_records_depend_on_their_neighbours_is_found() {
    let folder = Folder::new(
        "neighbours",
        &[("settings.json", "{}"), ("in.ndjson", "{}\n{}\n"), ("out.ndjson", "{\"row\":1}\n{\"row\":2}\n")],
    );
    assert_eq!(folder.case().run(&mut Counts), Ok(()));
    assert_eq!(
        folder.case().run_one_by_one(&mut Counts).unwrap_err(),
        "record by record, record 1 of those that go on:\n  `row` is 1, and should be 2"
    );
}
