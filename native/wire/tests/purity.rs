//! The crate needs neither a standard library nor a heap, and has no unsafe code.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

/// The part of a source file that is compiled outside of tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default()
}

#[test]
fn the_crate_says_so() {
    let root = include_str!("../src/lib.rs");
    assert!(root.contains("#![no_std]\n#![forbid(unsafe_code)]\n"));
    assert!(!root.contains("extern crate alloc"));
    let (_, behind) = root.split_once("extern crate std").unwrap();
    assert!(!behind.contains("extern crate"));
    assert!(root.contains("#[cfg(test)]\nextern crate std;"), "std is for tests alone");
}

#[test]
fn nothing_that_panics_on_a_short_buffer_is_used() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&folder);
    assert!(files.len() > 15, "the sources are elsewhere");
    for path in files.iter().filter(|path| path.file_name().unwrap() != "tests.rs") {
        let text = fs::read_to_string(path).unwrap();
        for word in
            [".unwrap()", ".expect(", "panic!", "unreachable!", "copy_from_slice", "split_at("]
        {
            assert!(!without_tests(&text).contains(word), "{word} in {}", path.display());
        }
    }
}
