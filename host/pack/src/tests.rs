use super::*;

#[test]
fn the_stub_is_what_its_text_says() {
    let text = wat::parse_str(include_str!("stub.wat")).unwrap();
    assert!(text == STUB, "write src/stub.wasm anew from src/stub.wat");
}

#[test]
fn a_module_without_the_contracts_exports_is_refused_by_name() {
    let empty = wat::parse_str("(module (memory (export \"memory\") 1))").unwrap();
    let error = pack(&empty, Wasi::Stub).unwrap_err().to_string();
    assert!(error.contains("flitch:filter/filter@1.0.0"), "{error}");
}
