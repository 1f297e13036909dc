//! Links within the pages: the file is there, and so is the heading.

use std::fs;
use std::path::{Path, PathBuf};

/// The lines of a page that are not code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// Where the links of a page lead, as they stand there: `[text](target)` and `[name]: target`, but for those to other sites.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        // What stands between single backticks is code.
        let line: String = line.split('`').step_by(2).collect();
        let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let named = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
        found.extend(inline.chain(named).filter(|target| !target.contains("://")).map(str::to_owned));
    }
    found
}

/// The anchors of a page's headings, as GitHub makes them: lower case, without punctuation, spaces as hyphens, and a number where one
/// is taken.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let hyphened = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let names: Vec<String> = headings.map(hyphened).collect();
    let numbered = |(i, name): (usize, &String)| match names[..i].iter().filter(|before| *before == name).count() {
        0 => name.clone(),
        n => format!("{name}-{n}"),
    };
    names.iter().enumerate().map(numbered).collect()
}

/// What is wrong with a link of the page at `path`, if anything is.
fn broken(path: &Path, text: &str, link: &str) -> Option<String> {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { path.to_owned() } else { path.parent().expect("a file").join(file) };
    if !target.exists() {
        return Some(format!("{}: {link}: there is no such file", path.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let there = if file.is_empty() { text.to_owned() } else { fs::read_to_string(&target).unwrap() };
    let known = anchors(&there);
    (!known.iter().any(|a| a == anchor)).then(|| format!("{}: {link}: no such heading among {known:?}", path.display()))
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|e| e == "md")).collect()
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = fs::read_dir(root.join("crates")).unwrap().flat_map(|entry| markdown_in(&entry.unwrap().path()));
    let data = fs::read_dir(root.join("data")).unwrap().flat_map(|entry| markdown_in(&entry.unwrap().path()));
    let mut pages = [markdown_in(root), markdown_in(&root.join("docs"))].concat();
    pages.extend(crates.chain(data));
    let texts: Vec<_> = pages.iter().map(|path| (path, fs::read_to_string(path).unwrap())).collect();
    let all: Vec<_> = texts.iter().flat_map(|(path, text)| links(text).into_iter().map(move |link| (path, text, link))).collect();
    assert!(pages.len() > 25 && all.len() > 50, "{} pages, {} links", pages.len(), all.len());
    let broken: Vec<_> = all.iter().filter_map(|(path, text, link)| broken(path, text, link)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn links_are_found_and_broken_ones_told() {
    let page = "# One two\n[a](b.md#c), `[no](code)` and ![d](e.png \"title\")\n```text\n[no](fence)\n# no\n```\n[f]: #one-two\n\
                [g](https://x.org/h)\n## It's `x` & y\n## One two\n";
    assert_eq!(links(page), ["b.md#c", "e.png", "#one-two"]);
    assert_eq!(anchors(page), ["one-two", "its-x--y", "one-two-1"]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    assert_eq!(broken(&path, page, "#one-two"), None);
    assert!(broken(&path, page, "#three").unwrap().contains("no such heading"));
    assert!(broken(&path, page, "no/such.md").unwrap().contains("no such file"));
    assert_eq!(broken(&path, page, "LICENSE-MIT"), None);
}
