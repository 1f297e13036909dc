//! Many functions checked one after the other, a line each.

use gradus_check::{Array, Checker, Fault, Finding, Function, Report};

/// Random inputs; the same for the same seed.
pub struct Draw(u64);

impl Draw {
    /// From a seed.
    pub fn seed(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform on `low..high`.
    pub fn uniform(&mut self, shape: impl Into<Vec<usize>>, low: f64, high: f64) -> Array {
        let shape = shape.into();
        let n = shape.iter().product();
        let data = (0..n).map(|_| low + (high - low) * self.unit()).collect();
        Array::new(shape, data)
    }

    /// Uniform on `-2..2`.
    pub fn any(&mut self, shape: impl Into<Vec<usize>>) -> Array {
        self.uniform(shape, -2.0, 2.0)
    }

    /// SplitMix64 (Steele, Lea and Flood 2014), as a number from 0 to 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Checks functions and keeps the score.
#[derive(Default)]
pub struct Survey {
    right: usize,
    refused: Vec<String>,
    wrong: Vec<String>,
}

impl Survey {
    /// Checks `f` at `inputs` and prints a line; what is wrong is shown there, and at the smallest inputs that show it.
    pub fn check(&mut self, f: &dyn Function, inputs: &[Array]) {
        let name = f.name();
        let failure = match Checker::new().order(1).shrink(false).check(f, inputs) {
            Ok(report) => {
                let checked = report.coverage(1).map_or(0, |c| c.checked + c.kinks);
                println!("{name:<44} right    {checked} entries");
                self.right += 1;
                return;
            }
            Err(failure) => failure,
        };
        let findings = failure.report().failures();
        match findings.first() {
            None => {
                println!("{name:<44} unchecked\n{failure}");
                self.refused.push(name);
            }
            Some(Finding { fault: Fault::Refused(why), .. }) => {
                println!("{name:<44} refused  {}", one_line(why));
                self.refused.push(name);
            }
            Some(first) => {
                println!("{name:<44} WRONG    {} findings, the first: {first}", findings.len());
                if let Err(smallest) = Checker::new().order(1).check(f, inputs) {
                    show_smallest(smallest.report());
                }
                self.wrong.push(name);
            }
        }
    }

    /// Prints the score.
    pub fn finish(self) {
        let Self { right, refused, wrong } = self;
        println!("\n{right} right, {} wrong {wrong:?}, {} refused {refused:?}", wrong.len(), refused.len());
    }
}

fn show_smallest(report: &Report) {
    if let Some(finding) = report.failures().first() {
        println!("    shrunk: {finding}, at");
    }
    report.inputs().enumerate().for_each(|(i, a)| println!("      input {i}: {:?} {:?}", a.shape(), a.data()));
}

/// The first line of a message, cut to a length.
fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(110).collect()
}
