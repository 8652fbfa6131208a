//! The cases of the border, with the guest run natively. The host's tests run them through the component.

use flitch_sdk::testing::borders;
use std::path::Path;

#[test]
fn the_guest_answers_as_the_contract_says() {
    let count = borders::run_native::<flitch_conformance::Guest, _>(Path::new("../../../wit/cases/batches"));
    assert!(count > 10, "{count} cases");
}
