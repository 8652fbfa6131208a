//! The cases of this plugin, run natively.

#[test]
fn every_case_comes_out_as_it_should() {
    flitch_sdk::testing::cases::run::<flitch_plugin_vrl::Vrl, _>("cases");
}
