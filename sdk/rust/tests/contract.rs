//! The crate carries a copy of the contract, so that it can be used outside this repository.

#[test]
fn the_crates_copy_of_the_contract_is_the_contract() {
    let read = |path: &str| std::fs::read_to_string(path).expect(path);
    for name in ["filter.wit", "state.wit"] {
        assert_eq!(
            read(&format!("wit/{name}")),
            read(&format!("../../wit/{name}")),
            "copy it: cp wit/{name} sdk/rust/wit/{name}"
        );
    }
}
