//! The table of `docs/names.md`, which says what PyTorch, Keras and JAX call the items of Gradus, holds of the search box of the built
//! documentation. `.ci/run` runs this after it has built the documentation:
//!
//! ```sh
//! cargo doc --workspace --no-deps && cargo test --test names -- --include-ignored
//! ```

mod search_index;

use search_index::SearchIndex;
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// A row of the table: names, and the items that the search box must give for each of them.
struct Row {
    section: String,
    names: Vec<String>,
    items: Vec<String>,
}

/// The words in backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(String::from).collect()
}

fn table() -> Vec<Row> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/names.md")).unwrap();
    let (mut section, mut rows) = (String::new(), vec![]);
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_string();
        }
        if let Some(cells) = line.strip_prefix("| `") {
            let cells: Vec<&str> = cells.split('|').collect();
            rows.push(Row { section: section.clone(), names: quoted(&format!("`{}", cells[0])), items: quoted(cells[1]) });
        }
    }
    rows
}

#[test]
fn each_name_stands_once_in_its_section() {
    let rows = table();
    let mut seen = HashSet::new();
    for row in &rows {
        assert!(!row.items.is_empty(), "{:?} has no item", row.names);
        for name in &row.names {
            assert!(seen.insert((&row.section, name)), "{}: `{name}` stands there twice", row.section);
        }
    }
    assert!(seen.len() > 250, "{} names", seen.len());
}

#[test]
#[ignore = "needs the documentation: cargo doc --workspace --no-deps"]
fn the_search_box_answers_each_name() {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_path_buf();
    let index = SearchIndex::read(&target.join("doc"));
    let mut mistakes = vec![];
    for row in table() {
        for name in &row.names {
            let found = index.search(name);
            for item in &row.items {
                let path = format!("::{item}");
                if !found.iter().any(|found| format!("::{found}").replace("::gradus_", "::").ends_with(&path)) {
                    mistakes.push(format!("`{name}`: expected {item} among {found:?}"));
                }
            }
        }
    }
    assert!(mistakes.is_empty(), "{} names are not answered:\n{}", mistakes.len(), mistakes.join("\n"));
}
