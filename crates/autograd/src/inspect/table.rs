//! Tables for a terminal, and numbers for people.

use gradus_tensor::thousands;
use std::fmt::{self, Write};
use std::time::Duration;

/// Rows of text under a heading, in columns that fit.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    /// Which columns are numbers, which stand at the right.
    right: [bool; N],
}

impl<const N: usize> Table<N> {
    /// A heading that starts with `>` is that of a column of numbers.
    pub fn new(heading: [&str; N]) -> Self {
        let right = heading.map(|h| h.starts_with('>'));
        Self { rows: vec![heading.map(|h| h.trim_start_matches('>').to_string())], right }
    }

    pub fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    /// Columns in which no row has anything are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |c: usize| self.rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
        let used: Vec<(usize, usize)> =
            (0..N).filter(|&c| self.rows[1..].iter().any(|r| !r[c].is_empty())).map(|c| (c, width(c))).collect();
        for (i, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for &(c, width) in &used {
                let gap = if line.is_empty() { "" } else { "  " };
                if self.right[c] {
                    write!(line, "{gap}{:>width$}", row[c])?;
                } else {
                    write!(line, "{gap}{:<width$}", row[c])?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
            if i == 0 {
                let total: usize = used.iter().map(|&(_, w)| w + 2).sum();
                writeln!(f, "{}", "─".repeat(total.saturating_sub(2)))?;
            }
        }
        Ok(())
    }
}

/// `1.5 MiB`.
pub(crate) fn bytes(n: usize) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let (mut value, mut unit) = (n as f64 / 1024.0, 0);
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1.234 ms`.
pub(crate) fn time(t: Duration) -> String {
    let s = t.as_secs_f64();
    if s >= 0.9995 {
        format!("{s:.3} s")
    } else if s >= 0.999_5e-3 {
        format!("{:.3} ms", s * 1e3)
    } else {
        format!("{:.1} µs", s * 1e6)
    }
}

/// `1 op`, `2 ops`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// Where an op was called, short: `layers/conv.rs:74`.
pub(crate) fn short_place(at: &std::panic::Location<'_>) -> String {
    short_path(&format!("{}:{}", at.file(), at.line()))
}

/// The last two parts of a path, which tell a file well enough; one if the other is `src`.
pub(crate) fn short_path(path: &str) -> String {
    let mut parts = path.rsplit(['/', '\\']);
    let file = parts.next().unwrap_or_default();
    match parts.next().filter(|folder| !folder.is_empty() && *folder != "src") {
        Some(folder) => format!("{folder}/{file}"),
        None => file.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(
            [0, 1023, 1024, 1536, 1 << 20, 1_023_990].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 MiB"]
        );
        assert_eq!(
            [999, 1000, 999_400, 1_000_000, 2_500_000_000].map(|ns| time(Duration::from_nanos(ns))),
            ["1.0 µs", "1.0 µs", "999.4 µs", "1.000 ms", "2.500 s"]
        );
    }

    #[test]
    fn paths_are_shortened() {
        let paths = ["crates/nn/src/layers/conv.rs:74", "src/main.rs:3", "main.rs:3", "/main.rs:3", r"C:\a\b.rs:1"];
        assert_eq!(paths.map(short_path), ["layers/conv.rs:74", "main.rs:3", "main.rs:3", "main.rs:3", "a/b.rs:1"]);
    }

    #[test]
    fn columns_fit_and_empty_ones_are_left_out() {
        let mut table = Table::new(["op", ">n", "unused", "place"]);
        table.row(["exp".into(), "1".into(), String::new(), "a".into()]);
        table.row(["größe".into(), "200".into(), String::new(), String::new()]);
        assert_eq!(table.to_string(), "op       n  place\n─────────────────\nexp      1  a\ngröße  200\n");
    }
}
