use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::config::interpolate::Outside;
use crate::config::parse;

#[test]
fn buffers_that_share_a_folder_are_refused_however_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().canonicalize().unwrap();
    fs::create_dir_all(folder.join("a/b")).unwrap();
    symlink(folder.join("a/b"), folder.join("link")).unwrap();
    let refused = |other: &str| {
        let dir = folder.display();
        let buffer = |path: &str| format!("buffer: {{ type: disk, path: \"{dir}/{path}\" }}");
        let (one, two) = (buffer("a/b/new"), buffer(other));
        let text = format!(
            "data_dir: {dir}\nsources: {{ g: {{ type: generator, format: nginx }} }}\noutputs:\n  one: {{ type: stdout, {one} }}\n  \
             two: {{ type: stdout, {two} }}\npipelines: {{ p: {{ from: [g], to: [one, two] }} }}\n"
        );
        let outside = Outside { variable: &|_| None, folder: Path::new("/") };
        match parse("flitch.yaml", &text, &outside) {
            Ok(_) => false,
            Err(error) => {
                let report = error.report(false);
                assert!(report.contains("the buffer of `one` has the folder"), "{report}");
                true
            }
        }
    };
    for same in ["a/b/new", "a/b/../b/new", "link/new", "a/gone/../b/new", "link/../b/./new/"] {
        assert!(refused(same), "{same}");
    }
    for other in ["a/b/newer", "link/../new", "a/new"] {
        assert!(!refused(other), "{other}");
    }
}
