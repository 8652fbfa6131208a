//! Tests that a machine cannot run.
//!
//! A skipped test prints one line, `SKIPPED: name: reason`, which `scripts/test.sh` counts and `.ci/run`
//! does not forgive.

use std::io::Write;

/// Says that a test is skipped. The line goes past libtest's capture of the output, so that it is seen
/// although the test passes.
pub fn skipped(name: &str, reason: &str) {
    let _ = std::io::stderr().write_all(format!("\nSKIPPED: {name}: {reason}\n").as_bytes());
}
