//! The learning curves of a training.

use super::{Chart, Series, save_charts};
use crate::error::TrainError;
use crate::history::History;
use std::path::Path;

impl History {
    /// Draws the curves over epochs, each quantity of training beside its validation's: loss and metrics side by side,
    /// as SVG or PNG by the path's extension.
    ///
    /// # Errors
    /// When there is no epoch, the extension is another, or the file cannot be written.
    pub fn plot(&self, path: impl AsRef<Path>) -> Result<(), TrainError> {
        self.draw(path.as_ref())
    }

    fn draw(&self, path: &Path) -> Result<(), TrainError> {
        if self.epochs.is_empty() {
            return Err(TrainError::new("plot: the history has no epoch"));
        }
        let names = self.names();
        let mut charts = Vec::new();
        for name in names.iter().filter(|n| !n.starts_with("val_") && **n != "lr") {
            let mut chart = Chart::new(long_name(name), "epoch", "").series(self.curve("training", name));
            let validation = format!("val_{name}");
            if names.contains(&validation.as_str()) {
                chart = chart.series(self.curve("validation", &validation));
            }
            charts.push(chart);
        }
        save_charts(path, &charts)
    }

    fn curve(&self, label: &str, name: &str) -> Series {
        let points = self.epochs.iter().filter_map(|e| Some((e.epoch as f64, e.get(name)?))).collect();
        Series::new(label, points).with_points()
    }
}

fn long_name(name: &str) -> &str {
    match name {
        "acc" => "accuracy",
        other => other,
    }
}
