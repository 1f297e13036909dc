//! Reads what the search box of the built documentation searches: the folder `search.index` that rustdoc writes beside the pages.
//!
//! The format is not stable. It is that of rustdoc 1.95: columns of one value a row, whose empty rows are a bitmap (`bitmap.rs`), and whose
//! other rows lie in files that are named in `root.js`. Of the rows, this reads names, the items that they stand for (`entry`, `path`),
//! and the targets of aliases.

mod bitmap;

use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::Path;

/// The items that the search box gives for a name, by the name as rustdoc compares it.
pub struct SearchIndex(HashMap<String, Vec<String>>);

impl SearchIndex {
    /// Reads the index in the folder of a built documentation.
    pub fn read(doc: &Path) -> SearchIndex {
        let folder = doc.join("search.index");
        let root: Value = serde_json::from_slice(&read_call(&folder.join("root.js"))).expect("JSON");
        let [names, entries, paths, aliases] =
            ["name", "entry", "path", "alias"].map(|column| read_column(&folder, column, &root[column]));

        // An entry is [crate, kind, module, module of its declaration, type it belongs to, ..], each of the last three 1 + a row, or 0.
        let of_entry = |row: usize| {
            let entry: Vec<usize> = serde_json::from_str(&entries[row]).ok()?;
            let (module, owner) = (entry[2].checked_sub(1), entry[4].checked_sub(1));
            let outer: Value = module.and_then(|row| serde_json::from_str(&paths[row]).ok()).unwrap_or_default();
            let parts = [outer[1].as_str(), module.map(|row| &*names[row]), owner.map(|row| &*names[row]), Some(&names[row])];
            Some(parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::"))
        };
        let mut found: HashMap<String, Vec<String>> = HashMap::new();
        for (row, name) in names.iter().enumerate() {
            let target = aliases[row].parse().unwrap_or(row);
            if let Some(path) = of_entry(target) {
                found.entry(normalized(name)).or_default().push(path);
            }
        }
        SearchIndex(found)
    }

    /// The paths of all items that have this name or alias, such as `nn::Linear`.
    pub fn search(&self, name: &str) -> &[String] {
        self.0.get(&normalized(name)).map_or(&[], Vec::as_slice)
    }
}

/// Names as rustdoc compares them: without underscores, in small letters.
fn normalized(name: &str) -> String {
    name.replace(['_', '"'], "").to_lowercase()
}

/// The argument of the call that a file of the index consists of: a string of bytes, or `rb_`, the same in base 64.
fn read_call(file: &Path) -> Vec<u8> {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let (function, rest) = text.trim().split_once('(').unwrap_or_else(|| panic!("{}: expected a call", file.display()));
    let literal = rest.trim_end_matches(')').trim_matches(['"', '\'']);
    if function == "rb_" { base64(literal) } else { unescaped(literal) }
}

/// The bytes of a JavaScript string.
fn unescaped(literal: &str) -> Vec<u8> {
    let mut chars = literal.chars();
    let mut bytes = vec![];
    while let Some(c) = chars.next() {
        let byte = match c {
            '\\' => match chars.next().expect("something after \\") {
                'x' => {
                    let hex: String = chars.by_ref().take(2).collect();
                    char::from(u8::from_str_radix(&hex, 16).expect("two digits after \\x"))
                }
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                other => other,
            },
            c => c,
        };
        bytes.push(u8::try_from(byte).expect("a byte"));
    }
    bytes
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (vec![], 0u32, 0);
    for digit in text.bytes().filter(|&digit| digit != b'=') {
        let value = DIGITS.iter().position(|&d| d == digit).expect("a digit of base 64");
        (bits, count) = ((bits << 6 | value as u32) & 0xffff, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// The number at the beginning of some bytes, in hexadecimal digits of which the last is a letter, and the bytes after it.
fn number(mut bytes: &[u8]) -> (usize, &[u8]) {
    let mut n = 0;
    while let Some((&digit, rest)) = bytes.split_first() {
        (n, bytes) = (n << 4 | usize::from(digit & 0xf), rest);
        if digit >= b'`' {
            break;
        }
    }
    (n, bytes)
}

/// The values in a file of a column: each its length and its bytes, or which of the last 16 new ones it repeats.
fn read_values(mut bytes: &[u8], values: &mut Vec<String>) {
    let mut recent: VecDeque<String> = VecDeque::new();
    while let Some((&first, rest)) = bytes.split_first() {
        if (b'0'..=b'?').contains(&first) {
            values.push(recent[usize::from(first - b'0')].clone());
            bytes = rest;
            continue;
        }
        let (length, rest) = number(bytes);
        let value = String::from_utf8(rest[..length].to_vec()).expect("a text");
        bytes = &rest[length..];
        recent.push_front(value.clone());
        recent.truncate(16);
        values.push(value);
    }
}

/// The value of each row of a column; that of an empty row is empty.
fn read_column(folder: &Path, name: &str, column: &Value) -> Vec<String> {
    let text = |key: &str| column[key].as_str().unwrap_or_else(|| panic!("{name}: expected a string {key}"));
    let empty = bitmap::read(&base64(text("E")));
    let mut values = vec![];
    for hash in base64(text("H")).chunks(6) {
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        read_values(&read_call(&folder.join(name).join(format!("{hash}.js"))), &mut values);
    }
    let rows = values.len() + empty.len();
    let mut values = values.into_iter();
    (0..rows as u32)
        .map(|row| if empty.contains(&row) { String::new() } else { values.next().expect("a value of each row") })
        .collect()
}
