use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::guest::cache::Cache;

/// The smallest component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn shipped() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    precompile(folder.path(), [("smallest", COMPONENT)]).unwrap();
    folder
}

fn native() -> Engine {
    Engine::new(&engine::config()).unwrap()
}

fn is_found(folder: &Path) -> bool {
    let cache = Cache::none().with_shipped(Some(Shipped::at(folder)));
    cache.component(&native(), COMPONENT, &sha256(COMPONENT)).unwrap().1
}

#[test]
fn code_that_came_with_the_program_is_not_compiled() {
    let folder = shipped();
    assert!(is_found(folder.path()));
    assert!(!is_found(tempfile::tempdir().unwrap().path()));
}

#[test]
fn it_is_the_same_bytes_whenever_it_is_made() {
    let read =
        |folder: tempfile::TempDir| fs::read(folder.path().join(file_name(&sha256(COMPONENT)))).unwrap();
    assert!(read(shipped()) == read(shipped()));
}

#[test]
fn code_that_others_may_write_is_compiled_anew() {
    let folder = shipped();
    let path = folder.path().join(file_name(&sha256(COMPONENT)));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    assert!(!is_found(folder.path()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(!is_found(folder.path()));
}

#[test]
fn what_is_no_code_for_this_engine_is_compiled_anew() {
    let folder = shipped();
    fs::write(folder.path().join(file_name(&sha256(COMPONENT))), "not code").unwrap();
    assert!(!is_found(folder.path()));
}

#[test]
fn what_is_no_component_is_named_and_not_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let error = precompile(folder.path(), [("smallest", COMPONENT), ("notes.txt", b"hello")]).unwrap_err();
    assert_eq!(format!("{error:#}"), "notes.txt: it is no WebAssembly component");
    let error = precompile(folder.path(), [("core.wasm", &b"\0asm\x01\0\0\0"[..])]).unwrap_err();
    assert!(format!("{error:#}").starts_with("core.wasm: it is a core module"), "{error:#}");
}
