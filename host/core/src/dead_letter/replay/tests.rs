use std::fs;

use super::super::{DeadLetters, read};
use super::*;

/// Takes numbers alone; takes none of what comes together with anything else.
#[derive(Default)]
struct Numbers {
    taken: Vec<String>,
    asked: usize,
}

impl Sink for Numbers {
    fn send(&mut self, records: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(records).unwrap();
        self.asked += 1;
        if let Some(line) = text.lines().find(|line| line.parse::<u64>().is_err()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no number: {line}")));
        }
        self.taken.extend(text.lines().map(str::to_owned));
        Ok(())
    }
}

fn left(folder: &Path) -> Vec<String> {
    let mut left = Vec::new();
    read::letters(folder, &Filter::default(), |letter| {
        left.push(serde_json::from_str(letter.raw.unwrap().get()).unwrap());
        Ok(true)
    })
    .unwrap();
    left
}

#[test]
fn letters_that_are_refused_stay_and_the_others_of_their_file_are_sent_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(dir.path()).unwrap();
    let bad = [3, 4, 17, 99];
    let text = |n: usize| if bad.contains(&n) { format!("bad {n}") } else { n.to_string() };
    for n in 0..100 {
        let component = if n % 10 == 5 { "other" } else { "web" };
        letters.raw("source", component, [("wrong", text(n).as_bytes())]).unwrap();
    }
    let filter = Filter { component: Some("web".to_owned()), ..Filter::default() };
    let mut sink = Numbers::default();
    let done = replay(dir.path(), &filter, &mut sink).unwrap();
    assert_eq!(done, Replayed { sent: 86, kept: 10, refused: 4, broken: 0 });
    let sent: Vec<String> = (0..100).filter(|n| n % 10 != 5 && !bad.contains(n)).map(text).collect();
    assert_eq!(sink.taken, sent);
    assert!(sink.asked < 60, "asked {} times for 4 of 90", sink.asked);
    let kept: Vec<String> = (0..100).filter(|n| n % 10 == 5 || bad.contains(n)).map(text).collect();
    assert_eq!(left(dir.path()), kept);
}

#[test]
fn a_file_whose_letters_are_all_refused_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(dir.path()).unwrap();
    letters.raw("source", "web", [("wrong", &b"a"[..]), ("wrong", b"b")]).unwrap();
    let before = fs::read(dir.path().join("letters-00000001.ndjson")).unwrap();
    let done = replay(dir.path(), &Filter::default(), &mut Numbers::default()).unwrap();
    assert_eq!(done, Replayed { sent: 0, kept: 0, refused: 2, broken: 0 });
    assert_eq!(fs::read(dir.path().join("letters-00000001.ndjson")).unwrap(), before);
    // And one that is sent later is not taken for one of those before it.
    letters.raw("source", "web", [("wrong", &b"7"[..])]).unwrap();
    let mut sink = Numbers::default();
    assert_eq!(replay(dir.path(), &Filter::default(), &mut sink).unwrap().sent, 1);
    assert_eq!((sink.taken, left(dir.path())), (vec!["7".to_owned()], vec!["a".to_owned(), "b".to_owned()]));
}
