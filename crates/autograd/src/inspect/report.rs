//! A profile as tables, as JSON and as a trace.

use super::profile::{Profile, ProfileRow};
use super::recorder::{OUTSIDE, Stretch};
use super::table::{self, Table};
use crate::observe::Site;
use gradus_tensor::thousands;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// So many lines are printed; the others are summed up.
const LINES: usize = 16;

/// By op and by line, the dearest first.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_table(f, "op", self.by_op())?;
        let mut lines = self.by_line();
        for row in &mut lines {
            row.name = table::short_path(&row.name);
        }
        writeln!(f)?;
        self.write_table(f, "line", lines)?;
        write!(f, "{} in all, {} of it in no op; ", table::time(self.wall), table::time(self.outside))?;
        write!(f, "at the peak {} of tensors", table::bytes(self.peak_bytes))?;
        match self.outside_bytes {
            0 => writeln!(f),
            bytes => writeln!(f, ", {} of it of no op", table::bytes(bytes)),
        }
    }
}

impl Profile {
    fn write_table(&self, f: &mut fmt::Formatter<'_>, of: &str, rows: Vec<ProfileRow>) -> fmt::Result {
        let mut out = Table::new([of, ">calls", ">forward", ">rules", ">backward", ">time", ">share", ">at peak"]);
        let total = rows.iter().map(ProfileRow::time).sum::<Duration>().as_secs_f64().max(f64::MIN_POSITIVE);
        let line = |row: &ProfileRow| {
            [
                row.name.clone(),
                thousands(row.calls),
                table::time(row.forward),
                if row.backward_calls > 0 { thousands(row.backward_calls) } else { String::new() },
                if row.backward_calls > 0 { table::time(row.backward) } else { String::new() },
                table::time(row.time()),
                format!("{:.1} %", 100.0 * row.time().as_secs_f64() / total),
                table::bytes(row.bytes_at_peak),
            ]
        };
        for row in rows.iter().take(LINES) {
            out.row(line(row));
        }
        if rows.len() > LINES {
            let mut rest = ProfileRow { name: format!("{} more", rows.len() - LINES), ..Default::default() };
            rows[LINES..].iter().for_each(|row| rest.add(row));
            out.row(line(&rest));
        }
        write!(f, "{out}")
    }

    /// The figures by op and line, times in nanoseconds: `{"wall_ns", "outside_ns", "peak_bytes", "outside_bytes_at_peak",
    /// "ops": [{"op", "file", "line", "calls", "forward_ns", "backward_calls", "backward_ns", "bytes_at_peak"}]}`.
    pub fn to_json(&self) -> String {
        let op = |(site, row): &(Site, ProfileRow)| {
            json!({
                "op": site.op,
                "file": site.at.file(),
                "line": site.at.line(),
                "calls": row.calls,
                "forward_ns": nanoseconds(row.forward),
                "backward_calls": row.backward_calls,
                "backward_ns": nanoseconds(row.backward),
                "bytes_at_peak": row.bytes_at_peak,
            })
        };
        let profile = json!({
            "wall_ns": nanoseconds(self.wall),
            "outside_ns": nanoseconds(self.outside),
            "peak_bytes": self.peak_bytes,
            "outside_bytes_at_peak": self.outside_bytes,
            "ops": self.entries.iter().map(op).collect::<Vec<Value>>(),
        });
        format!("{profile:#}")
    }

    /// Each op and rule on a time line, with the bytes alive below, in the Trace Event Format, which
    /// [Perfetto](https://ui.perfetto.dev) and `chrome://tracing` show. Of a long run it is the first million.
    pub fn to_chrome_trace(&self) -> String {
        let mut events = Vec::new();
        for e in self.trace.events.iter().filter(|e| e.owner > OUTSIDE) {
            let Site { op, at } = self.trace.sites[e.owner - OUTSIDE - 1];
            let category = match e.stretch {
                Stretch::Op => "forward",
                Stretch::Rule => "backward",
                Stretch::AfterRule | Stretch::Outside => "after the rule",
            };
            let (start, time) = (e.start.as_secs_f64() * 1e6, e.time.as_secs_f64() * 1e6);
            let args = json!({ "line": format!("{}:{}", at.file(), at.line()) });
            events.push(
                json!({ "name": op, "cat": category, "ph": "X", "ts": start, "dur": time, "pid": 1, "tid": 1, "args": args }),
            );
            events.push(json!({ "name": "tensors", "ph": "C", "ts": start + time, "pid": 1, "args": { "bytes": e.live } }));
        }
        json!({ "traceEvents": events, "displayTimeUnit": "ms", "otherData": { "left_out": self.trace.left_out } }).to_string()
    }
}

fn nanoseconds(t: Duration) -> u64 {
    u64::try_from(t.as_nanos()).unwrap_or(u64::MAX)
}
