//! The cases of the example of every SDK, run natively.

#[test]
fn every_case_comes_out_as_it_should() {
    flitch_sdk::testing::cases::run::<flitch_example_pairs::Pairs, _>("../../example/cases");
}
