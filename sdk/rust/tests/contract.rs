//! The crate carries a copy of the contract, so that it can be used outside this repository.

#[test]
fn the_crates_copy_of_the_contract_is_the_contract() {
    let read = |path| std::fs::read_to_string(path).expect(path);
    assert_eq!(
        read("wit/filter.wit"),
        read("../../wit/filter.wit"),
        "copy it: cp wit/filter.wit sdk/rust/wit/filter.wit"
    );
}
