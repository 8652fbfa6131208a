//! What `make fuzz` tries. A target panics where something does not hold.

use std::path::Path;

use crate::config::interpolate::Outside;

/// Checks that bytes of one kind do no harm.
pub type Target = fn(&[u8]);

/// All targets, by the names of their folders in the corpus.
#[cfg(feature = "fuzzing")]
pub const TARGETS: [(&str, Target); 6] = [
    ("answers", flitch_filters::fuzzing::answers),
    ("files", flitch_sources::file::fuzzing::files),
    ("forward", flitch_sources::forward::fuzzing::forward),
    ("json", flitch_core::fuzzing::json),
    ("otlp", flitch_sources::http::otlp::fuzzing::otlp),
    ("yaml", yaml),
];

/// Reads a configuration: it is taken or refused with a report.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // No file is to be read, whatever the text names.
    if text.contains("${file:") || text.contains("${base64:") {
        return;
    }
    let folder = Path::new("/nonexistent");
    let outside = Outside { variable: &|name| (name == "SET").then(|| "value".into()), folder };
    match crate::config::parse("fuzz.yaml", text, &outside) {
        Ok(loaded) => drop(crate::config::report::render(&loaded.warnings, false)),
        Err(error) => {
            assert!(!error.problems.is_empty());
            assert!(!error.report(true).is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_of_the_corpus_holds_in_memory_of_its_size() {
        crate::memory::run_corpus("yaml", super::yaml);
    }
}
