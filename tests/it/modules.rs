//! No test file may be forgotten in the list of modules.

use std::path::{Path, PathBuf};

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The file whose `mod` line brings another file in: the folder's `mod.rs`, or `main.rs` at the top.
fn parent_of(file: &Path, top: &Path) -> (PathBuf, String) {
    let is_folder = file.ends_with("mod.rs");
    let named = if is_folder {
        file.parent().unwrap()
    } else {
        file
    };
    let name = named.file_stem().unwrap().to_string_lossy().into_owned();
    let folder = named.parent().unwrap();
    let parent = if folder == top {
        top.join("main.rs")
    } else {
        folder.join("mod.rs")
    };
    (parent, name)
}

#[test]
fn every_file_is_a_module_of_this_binary() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let mut files = Vec::new();
    source_files(&top, &mut files);
    assert!(files.len() > 2, "found only {files:?}");
    for file in files {
        if file == top.join("main.rs") {
            continue;
        }
        let (parent, name) = parent_of(&file, &top);
        let list = std::fs::read_to_string(&parent)
            .unwrap_or_else(|_| panic!("{} is needed, to list {name}", parent.display()));
        let listed = list
            .lines()
            .any(|line| line.trim_start_matches("pub ").trim() == format!("mod {name};"));
        assert!(
            listed,
            "{} is forgotten: no `mod {name};` in {}",
            file.display(),
            parent.display()
        );
    }
}
