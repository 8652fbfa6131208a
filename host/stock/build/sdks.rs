//! The SDKs and their templates, embedded for `flitch plugin new`: whoever has the binary can begin a filter.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders of an SDK that a filter does not need.
const APART: [&str; 10] = [
    "test",
    "tests",
    "conformance",
    "example",
    "benches",
    "target",
    "node_modules",
    "build",
    "dist",
    "__pycache__",
];

/// Writes the table `SDKS` to `out`, and answers the files that it was made of. Not their folders: tests write there.
pub fn embed(root: &Path, out: &Path) -> std::io::Result<Vec<PathBuf>> {
    let kept = out.join("sdks");
    let _ = fs::remove_dir_all(&kept);
    let mut table = String::from(
        "/// Paths and what stands in the files there.\n\
         pub type Files = &'static [(&'static str, &'static [u8])];\n\
         /// The SDKs: for each language its files, those of its template below `template/`.\n\
         pub static SDKS: &[(&str, Files)] = &[\n",
    );
    let mut inputs = Vec::new();
    for folder in sorted(&root.join("sdk"))?.into_iter().filter(|path| path.is_dir()) {
        let language = name(&folder);
        let mut files = Vec::new();
        collect(&folder, &folder, &mut files)?;
        if language == "rust" {
            let model = root.join("model");
            let mut own = Vec::new();
            collect(&model, &model, &mut own)?;
            files.extend(own.into_iter().map(|(path, file)| (format!("model/{path}"), file)));
        }
        table.push_str(&format!("    ({language:?}, &[\n"));
        for (path, file) in files {
            inputs.push(file.clone());
            let mut content = fs::read(&file)?;
            if language == "rust" && path.ends_with("Cargo.toml") && !path.starts_with("template") {
                content =
                    alone(&String::from_utf8_lossy(&content), &fs::read_to_string(root.join("Cargo.toml"))?);
            }
            let to = kept.join(&language).join(&path);
            fs::create_dir_all(to.parent().expect("it lies in a folder"))?;
            fs::write(&to, content)?;
            table.push_str(&format!("        ({path:?}, include_bytes!({to:?})),\n"));
        }
        table.push_str("    ]),\n");
    }
    table.push_str("];\n");
    fs::write(out.join("sdks.rs"), table)?;
    Ok(inputs)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    for path in sorted(folder)? {
        let name = name(&path);
        // `template`, and `template-ts` beside it.
        let top = path.strip_prefix(root).ok().and_then(|path| path.iter().next());
        let is_template = top.is_some_and(|top| top.to_string_lossy().starts_with("template"));
        if path.is_dir() {
            // A template has tests of its own, and no more what was built than the rest.
            if !APART.contains(&name.as_str()) || (is_template && name.starts_with("test")) {
                collect(root, &path, files)?;
            }
        } else if is_template || name != "tests.rs" {
            let path_in_sdk = path.strip_prefix(root).expect("it lies below").to_string_lossy().into_owned();
            files.push((path_in_sdk, path));
        }
    }
    Ok(())
}

fn sorted(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A manifest that stands by itself: what it has from the workspace is written out, and what only its tests need is gone.
fn alone(manifest: &str, workspace: &str) -> Vec<u8> {
    let of_workspace = |key: &str| {
        let found = workspace.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        found.unwrap_or_else(|| panic!("the workspace says nothing of `{key}`"))
    };
    let mut text = String::new();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        if matches!(section, "[lints]" | "[dev-dependencies]") {
            continue;
        }
        if line.starts_with("flitch-model") {
            text.push_str("flitch-model = { path = \"model\" }\n");
        } else if let Some(key) = line.strip_suffix(".workspace = true") {
            text.push_str(&format!("{key} = {}\n", of_workspace(key)));
        } else if let Some((key, more)) = line.split_once(" = { workspace = true, ") {
            let value = of_workspace(key);
            let whole = match value.strip_prefix("{ ").and_then(|value| value.strip_suffix(" }")) {
                Some(members) => format!("{{ {members}, {more}"),
                None => format!("{{ version = {value}, {more}"),
            };
            text.push_str(&format!("{key} = {whole}\n"));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.into_bytes()
}
