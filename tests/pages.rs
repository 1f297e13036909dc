//! The Rust snippets of the README and of the pages in `docs/` are compiled and run as doctests of the facade.

use std::fs;
use std::path::Path;

/// The fenced code blocks of a page: the language, empty if the fence names none, and the code.
fn code_blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(language) => {
                inside = !inside;
                if inside {
                    blocks.push((language, Vec::new()));
                }
            }
            None if inside => blocks.last_mut().expect("opened above").1.push(line),
            None => {}
        }
    }
    blocks
}

#[test]
fn every_rust_snippet_is_among_the_doctests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let facade = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<_> = docs.filter(|path| path.extension().is_some_and(|e| e == "md")).chain([root.join("README.md")]).collect();
    assert!(pages.len() > 10, "{pages:?}");
    for path in pages {
        let page = path.strip_prefix(root).unwrap().display().to_string();
        for (language, code) in code_blocks(&fs::read_to_string(&path).unwrap()) {
            assert!(!language.is_empty(), "{page}: a code block names no language, and rustdoc takes it for Rust");
            if !language.starts_with("rust") {
                continue;
            }
            assert!(facade.contains(&format!("\"{page}\"")), "{page} has Rust snippets and is not in `pages!` of src/lib.rs");
            assert!(!language.contains("ignore"), "{page}: a snippet is not compiled");
            assert!(!code.contains(&"#[test]"), "{page}: a doctest leaves out functions marked #[test]");
        }
    }
}
