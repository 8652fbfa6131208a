use super::Guest;
use flitch_sdk::testing::borders;
use std::path::Path;

#[test]
fn the_guest_answers_as_the_contract_says() {
    let count = borders::run_native::<Guest, _>(Path::new("../../../wit/cases/batches"));
    assert!(count > 10, "{count} cases");
}
