//! What is said about plugins that cannot be loaded, and what loading costs.

use super::*;

/// Why the plugin cannot be loaded.
fn refused(settings: &FilterSettings) -> String {
    format!("{:#}", Alone::load("mine", settings, &context()).unwrap_err())
}

fn file(bytes: &[u8]) -> (tempfile::TempDir, FilterSettings) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.wasm");
    std::fs::write(&path, bytes).unwrap();
    let settings = FilterSettings::of(path.to_str().unwrap());
    (folder, settings)
}

#[test]
fn an_unknown_stock_plugin_is_refused_with_the_nearest_name() {
    let error = refused(&FilterSettings::of("disect"));
    assert!(
        error.contains("filter `mine`: no stock plugin is named `disect`; did you mean `dissect`?"),
        "{error}"
    );
}

#[test]
fn a_filter_of_another_collector_is_refused_with_the_plugin_that_does_the_same() {
    for (theirs, ours) in crate::origin::ELSEWHERE {
        assert!(context().stock.names().any(|name| name == *ours), "no plugin is called `{ours}`");
        let error = refused(&FilterSettings::of(theirs[0]));
        assert!(error.contains(&format!("`{}`; `{ours}` does that here", theirs[0])), "{error}");
    }
    let error = refused(&FilterSettings::of("multiline"));
    assert!(error.contains("joined by their source: `multiline: { preset: java }`"), "{error}");
}

#[test]
fn a_file_that_is_missing_is_named() {
    let error = refused(&FilterSettings::of("./no-such.wasm"));
    assert!(error.contains("no-such.wasm") && error.contains("No such file"), "{error}");
}

#[test]
fn a_pipe_in_the_place_of_a_plugin_is_refused_at_once_and_no_reload_passes_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.wasm");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let error = refused(&FilterSettings::of(path.to_str().unwrap()));
    assert!(error.contains("mine.wasm") && error.contains("no regular file"), "{error}");
    let origin = crate::Stock::default().origin(path.to_str().unwrap(), folder.path()).unwrap();
    assert!(origin.is_stale("another"));
    std::fs::remove_file(&path).unwrap();
    assert!(!origin.is_stale("another"), "it may be on its way");
}

#[test]
fn a_core_module_is_refused_with_the_way_to_wrap_it() {
    let (_folder, settings) = file(b"\0asm\x01\0\0\0");
    let error = refused(&settings);
    assert!(error.contains("core module") && error.contains("wasm-tools component new"), "{error}");
}

#[test]
fn what_is_no_webassembly_is_refused() {
    let (_folder, settings) = file(b"hello");
    assert!(refused(&settings).contains("no WebAssembly component"));
}

#[test]
fn a_component_of_another_world_is_refused_with_what_it_lacks() {
    // An empty component: the preamble alone.
    let (_folder, settings) = file(b"\0asm\x0d\0\x01\0");
    let error = refused(&settings);
    assert!(error.contains("it exports nothing, but not flitch:filter/filter@1.0.0"), "{error}");
}

/// The guest in C with one import more: an interface of this name, of the type that its first import has.
fn importing(name: &str) -> (tempfile::TempDir, FilterSettings) {
    let mut component = std::fs::read(flitch_tests::guests::c_filter()).unwrap();
    let import = [&[1, 0, name.len() as u8], name.as_bytes(), &[5, 0]].concat();
    component.extend([10, import.len() as u8]);
    component.extend(import);
    file(&component)
}

#[test]
fn an_import_that_no_filter_is_granted_is_refused_by_name() {
    for (import, why) in [
        (
            "wasi:http/types@0.2.0",
            "it imports wasi:http/types@0.2.0, which no filter is granted; build it without",
        ),
        ("acme:db/query@1.0.0", "it imports acme:db/query@1.0.0, which flitch does not have"),
    ] {
        let (_folder, settings) = importing(import);
        let error = refused(&settings);
        assert!(error.contains(why), "{error}");
    }
    let (_folder, mut settings) = importing("wasi:sockets/network@0.2.0");
    settings.wasi = Wasi::None;
    let error = refused(&settings);
    assert!(
        error.contains("it imports wasi:sockets/network@0.2.0") && error.contains("`wasi: empty`"),
        "{error}"
    );
}

#[test]
fn settings_that_a_plugin_refuses_refuse_the_configuration() {
    let mut settings = FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap());
    settings.settings = json!({"refuse": "no such mode"});
    let error = refused(&settings);
    assert!(error.ends_with("c-filter refuses its settings: no such mode"), "{error}");
}

#[test]
fn a_plugin_that_is_to_look_at_fields_by_a_wildcard_is_refused() {
    let mut settings = FilterSettings::of("dissect");
    settings.settings = json!({"field": "log.*", "preset": "nginx_combined"});
    let error = refused(&settings);
    assert!(error.contains("`log.*`: names of fields have no wildcards; write `log`"), "{error}");
}

#[test]
fn what_is_granted_without_wasi_is_refused() {
    let mut settings = FilterSettings::of("dissect");
    settings.wasi = Wasi::None;
    settings.allow.env.push("HOME".to_owned());
    assert!(refused(&settings).contains("take `wasi: none` away"));
}

#[test]
fn a_second_start_compiles_nothing_and_damaged_code_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let settings = FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap());
    let files = || -> Vec<_> { std::fs::read_dir(&cache).unwrap().map(|f| f.unwrap().path()).collect() };
    let load = || {
        let cx = FilterContext { engine: Engine::new(Some(&cache), &Arc::default()).unwrap(), ..context() };
        let mut guest = Alone::load("c", &settings, &cx).unwrap();
        let (out, _) = guest.run(messages(&["a"]));
        assert_eq!(rows(&out)[0]["upper"], "A");
        guest.filter().plugin().is_from_cache()
    };
    assert!(!load());
    let kept = files();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(load(), "the code is not compiled again");

    let mut code = std::fs::read(&kept[0]).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    std::fs::write(&kept[0], &code).unwrap();
    assert!(!load(), "damaged code is compiled again");
    assert!(load());

    use std::os::unix::fs::PermissionsExt;
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    let kept = files();
    std::fs::set_permissions(&kept[0], mode(0o666)).unwrap();
    assert!(!load(), "code that others may write is compiled again");
    assert_eq!(std::fs::metadata(&files()[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn filters_of_one_plugin_share_its_code_for_as_long_as_one_of_them_is_there() {
    // Nothing is kept on disk, so what is not compiled was loaded already.
    let cx = FilterContext { engine: Engine::new(None, &Arc::default()).unwrap(), ..context() };
    for plugin in ["match", flitch_tests::guests::c_filter().to_str().unwrap()] {
        let mut settings = FilterSettings::of(plugin);
        if plugin == "match" {
            settings.settings = json!({"keep": {"field": "a", "in": [1]}});
        }
        let load = || Alone::load("one", &settings, &cx).unwrap();
        let is_compiled = |guest: &Alone| !guest.filter().plugin().is_from_cache();
        let first = load();
        assert!(is_compiled(&first), "{plugin}");
        let second = load();
        assert!(!is_compiled(&second), "{plugin}");
        drop(first);
        assert!(!is_compiled(&load()), "{plugin}");
        drop(second);
        assert!(is_compiled(&load()), "{plugin}");
    }
}

#[test]
fn what_a_plugin_reads_and_imports_can_be_asked() {
    let guest =
        Alone::load("c", &FilterSettings::of(flitch_tests::guests::c_filter().to_str().unwrap()), &context());
    let guest = guest.unwrap();
    let wanted = guest.wanted().unwrap();
    assert!(wanted.has("message") && !wanted.has("other"));
    assert!(guest.memory() > 0);
    let plugin = guest.filter().plugin();
    assert_eq!(plugin.exports(), ["flitch:filter/filter@1.0.0"]);
    assert!(plugin.imports().iter().all(|name| name.starts_with("flitch:filter/")), "{:?}", plugin.imports());
}
