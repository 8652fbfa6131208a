use super::*;

#[test]
fn a_file_whose_name_cannot_be_made_safe_is_taken_away_again() {
    let base = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(base.path(), DeadLetterSettings::default()).unwrap();
    for _ in 0..3 {
        let failed = folder.begin(|_| Err(io::ErrorKind::Interrupted.into()));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!(files(base.path()).unwrap(), []);
    }
    folder.append(b"{}\n", &Telling::default()).unwrap();
    let names: Vec<u64> = files(base.path()).unwrap().into_iter().map(|name| name.number).collect();
    assert_eq!(names, [1]);
}
