use super::*;

const ID: FileId = FileId { device: 1, inode: 2, born: Some(3) };

#[test]
fn a_first_line_is_known_when_it_cannot_go_on() {
    assert_eq!(first_line(b"one\ntwo\n", false), Some(&b"one\n"[..]));
    assert_eq!(first_line(b"one", false), None);
    assert_eq!(first_line(b"one", true), Some(&b"one"[..]));
    assert_eq!(first_line(&[b'x'; HEAD], false), Some(&[b'x'; HEAD][..]));
    assert_eq!(first_line(b"", false), None);
}

#[test]
fn whatever_tells_two_files_apart_gives_them_two_roots() {
    let one = root("logs", ID, b"one\n", None);
    assert_eq!(one, root("logs", ID, b"one\n", None));
    let others = [
        root("others", ID, b"one\n", None),
        root("logs", FileId { device: 7, ..ID }, b"one\n", None),
        root("logs", FileId { inode: 7, ..ID }, b"one\n", None),
        root("logs", FileId { born: Some(7), ..ID }, b"one\n", None),
        root("logs", FileId { born: None, ..ID }, b"one\n", None),
        root("logs", ID, b"two\n", None),
        root("logs", ID, b"one\n", Some(one)),
    ];
    assert!(!others.contains(&one));
}
