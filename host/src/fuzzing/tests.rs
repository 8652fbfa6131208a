use super::*;
use crate::memory::peak_of;

/// Memory that a case may take beside its bytes: a connection and a reader of files have buffers.
const BESIDE: usize = 8 << 20;

#[test]
fn every_case_of_the_corpus_holds_in_memory_of_its_size() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in TARGETS {
        let mut cases: Vec<_> =
            std::fs::read_dir(corpus.join(name)).unwrap().map(|case| case.unwrap().path()).collect();
        cases.sort();
        assert!(cases.len() > 4, "{name}");
        for case in cases {
            let bytes = std::fs::read(&case).unwrap();
            let (held, peak) = peak_of(|| std::panic::catch_unwind(|| target(&bytes)));
            let case = case.display();
            assert!(held.is_ok(), "{case} breaks {name}");
            let most = 8 * bytes.len() + BESIDE;
            assert!(peak <= most, "{case}: {} bytes take {peak} bytes of memory in {name}", bytes.len());
        }
    }
}
