//! `docs/ops.md` is made from the lists of ops.

use gradus_autograd::samples::{ListedOp, listed_ops};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# Ops

Every operation that the tape records. Methods that are not here, as `mean` or `var`, are made of these. An op is a value of a type that
implements `Op`; `Var::op` gives that of a variable, with its attributes. The table is made from the crates' lists of types by
`crates/check/tests/suite/page.rs`.
";

/// The table of the ops of one crate: what they are called, and what decides their results besides their inputs.
fn table(page: &mut String, listed: &[ListedOp]) {
    let mut rows = BTreeMap::new();
    for op in listed {
        for sample in (op.samples)() {
            let described =
                op.recorded_by(&sample).unwrap_or_else(|| panic!("the samples of `{}` record no such op", sample.name));
            rows.insert((described.kind, sample.name), described.attributes);
        }
    }
    page.push_str("\n| op | kind | attributes |\n|---|---|---|\n");
    for ((kind, name), attributes) in rows {
        let attributes: Vec<String> = attributes.iter().map(|(name, _)| format!("`{name}`")).collect();
        let kind = format!("{kind:?}").to_lowercase();
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{name}` | {kind} | {} |", attributes.join(", "));
    }
}

/// Set `GRADUS_UPDATE_DOCS` to write the page anew.
#[test]
fn the_page_of_ops_is_that_of_the_lists() {
    let mut page = String::from(HEAD);
    for (title, listed) in [("Variables", listed_ops()), ("Layers and losses", gradus_nn::samples::listed_ops())] {
        let _ = writeln!(page, "\n## {title}");
        table(&mut page, &listed);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ops.md");
    if std::env::var_os("GRADUS_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/ops.md is not up to date: run `GRADUS_UPDATE_DOCS=1 cargo test -p gradus-check --test suite page`"
    );
}
