//! The Rust snippets of the README and of the pages in `docs/` are compiled and run as doctests of the facade.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A fenced code block of a page.
struct Block<'a> {
    /// What the fence says: the language, and how rustdoc treats the code.
    info: &'a str,
    code: Vec<&'a str>,
    /// The line above the block.
    above: &'a str,
}

fn code_blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let (mut inside, mut above) = (false, "");
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(info) => {
                inside = !inside;
                if inside {
                    blocks.push(Block { info, code: Vec::new(), above });
                }
            }
            None if inside => blocks.last_mut().expect("opened above").code.push(line),
            None => {}
        }
        above = line;
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
        for Block { info, code, above } in code_blocks(&fs::read_to_string(&path).unwrap()) {
            assert!(!info.is_empty(), "{page}: a code block names no language, and rustdoc takes it for Rust");
            if !info.starts_with("rust") {
                continue;
            }
            assert!(facade.contains(&format!("\"{page}\"")), "{page} has Rust snippets and is not in `pages!` of src/lib.rs");
            assert!(!info.contains("ignore"), "{page}: a snippet is not compiled");
            let reasoned = !info.contains("no_run") || above.starts_with("<!-- not run: ");
            assert!(reasoned, "{page}: a snippet is not run, and no comment `<!-- not run: .. -->` above it says why");
            assert!(!code.contains(&"#[test]"), "{page}: a doctest leaves out functions marked #[test]");
        }
    }
}

#[test]
fn the_readme_lists_every_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let examples: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let table = readme.lines().skip_while(|line| !line.starts_with("| example |")).skip(2);
    let listed: BTreeSet<String> =
        table.map_while(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_string())).collect();
    assert_eq!(listed, examples);
}
