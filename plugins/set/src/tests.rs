use super::Set;

#[test]
fn every_case_comes_out_as_it_should() {
    flitch_sdk::testing::cases::run::<Set, _>("cases");
}
