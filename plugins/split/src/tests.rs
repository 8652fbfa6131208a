use super::Split;

mod parts;

#[test]
fn every_case_comes_out_as_it_should() {
    flitch_sdk::testing::cases::run::<Split, _>("cases");
}
