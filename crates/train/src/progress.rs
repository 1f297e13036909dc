//! Progress as users of Keras know it: a bar that fills on a terminal, one line an epoch elsewhere.

use crate::bar::Bar;
use std::io::Write;
use std::time::{Duration, Instant};

/// How much a training says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing.
    Silent,
    /// A bar on a terminal (with the feature `progress`), one line an epoch elsewhere.
    #[default]
    Auto,
}

/// One epoch's bar.
pub(crate) struct EpochProgress {
    bar: Option<Bar>,
    verbosity: Verbosity,
    head: String,
    steps: u64,
    done: u64,
    first: u64,
    start: Instant,
    shown: Option<Instant>,
}

const WIDTH: usize = 30;

impl EpochProgress {
    /// Epoch `epoch` of `epochs`.
    pub fn start(verbosity: Verbosity, (epoch, epochs): (usize, usize)) -> Self {
        let bar = if verbosity == Verbosity::Auto { Bar::on_terminal() } else { None };
        let head = format!("Epoch {epoch}/{epochs}");
        Self { bar, verbosity, head, steps: 0, done: 0, first: 0, start: Instant::now(), shown: None }
    }

    /// `done` of its `steps` have been taken before.
    pub fn steps(&mut self, done: usize, steps: usize) {
        (self.first, self.done, self.steps) = (done as u64, done as u64, steps as u64);
    }

    /// One more step is done; `values` is called only when the bar is redrawn.
    pub fn step(&mut self, values: impl FnOnce() -> Vec<(String, f64)>) {
        self.done += 1;
        let due = self.shown.is_none_or(|t| t.elapsed() > Duration::from_millis(100));
        if let (Some(bar), true) = (&self.bar, due) {
            bar.show(line(&self.head, self.done, self.steps, self.start.elapsed(), self.done - self.first, &values()));
            self.shown = Some(Instant::now());
        }
    }

    /// The epoch is over.
    pub fn finish(self, values: &[(String, f64)]) {
        let text = line(&self.head, self.done, self.steps, self.start.elapsed(), self.done - self.first, values);
        if let Some(bar) = &self.bar {
            bar.clear();
        }
        if self.verbosity == Verbosity::Auto {
            // Nobody may be listening at the other end of the pipe; training goes on all the same.
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }
}

/// `Epoch 2/5  469/469 [==============] 6s 13ms/step  loss: 0.0563  acc: 0.9830`
fn line(head: &str, done: u64, steps: u64, elapsed: Duration, timed: u64, values: &[(String, f64)]) -> String {
    let filled = if steps == 0 { WIDTH } else { (done.min(steps) as usize * WIDTH) / steps as usize };
    let bar =
        if filled >= WIDTH { "=".repeat(WIDTH) } else { format!("{}>{}", "=".repeat(filled), ".".repeat(WIDTH - filled - 1)) };
    let seconds = elapsed.as_secs_f64();
    let each = seconds / timed.max(1) as f64;
    let each = if each >= 1.0 {
        format!("{each:.1}s")
    } else if each >= 1e-3 {
        format!("{:.0}ms", each * 1e3)
    } else {
        format!("{:.0}us", each * 1e6)
    };
    let values: String = values.iter().map(|(n, v)| format!("  {n}: {}", number(*v))).collect();
    format!("{head}  {done:>w$}/{steps} [{bar}] {seconds:.0}s {each}/step{values}", w = steps.to_string().len())
}

fn number(v: f64) -> String {
    if v != 0.0 && v.abs() < 1e-3 { format!("{v:.2e}") } else { format!("{v:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_as_keras_prints_it() {
        let values = [("loss".to_string(), 0.0563), ("acc".to_string(), 0.983), ("lr".to_string(), 1e-5)];
        let text = line("Epoch 2/5", 469, 469, Duration::from_millis(6100), 469, &values);
        assert_eq!(
            text,
            "Epoch 2/5  469/469 [==============================] 6s 13ms/step  loss: 0.0563  acc: 0.9830  lr: 1.00e-5"
        );
        let text = line("Epoch 1/5", 47, 469, Duration::from_millis(611), 47, &values[..1]);
        assert_eq!(text, "Epoch 1/5   47/469 [===>..........................] 1s 13ms/step  loss: 0.0563");
    }
}
