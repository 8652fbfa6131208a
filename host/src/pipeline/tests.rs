use std::path::Path;

#[test]
fn every_file_on_the_way_of_a_record_is_where_the_documentation_says() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(repository.join("docs/way.md")).unwrap();
    let files: Vec<&str> = text.split('`').filter(|word| word.starts_with("host/")).collect();
    assert!(files.len() > 20, "{files:?}");
    let missing: Vec<_> = files.iter().filter(|file| !repository.join(file).is_file()).collect();
    assert!(missing.is_empty(), "docs/way.md names what is not there: {missing:?}");
}
