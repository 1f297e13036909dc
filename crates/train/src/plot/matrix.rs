//! Matrices of counts, as a confusion matrix is.

use super::{Draw, save};
use crate::error::TrainError;
use gradus_tensor::Tensor;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

struct Heatmap<'a> {
    title: &'a str,
    values: &'a Tensor<f64>,
    labels: (&'a [String], &'a [String]),
    axes: (&'a str, &'a str),
}

const CELL: i32 = 46;
const EDGE: (i32, i32) = (90, 80);

impl Draw for Heatmap<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), String> {
        let text = |e: DrawingAreaErrorKind<B::ErrorType>| e.to_string();
        let (rows, cols) = (self.values.size(0) as i32, self.values.size(1) as i32);
        let font = |size: i32| ("sans-serif", size).into_font();
        let centred = |size: i32| font(size).color(&BLACK).pos(Pos::new(HPos::Center, VPos::Center));
        let middle = |r: i32, c: i32| (EDGE.0 + c * CELL + CELL / 2, EDGE.1 + r * CELL + CELL / 2);
        area.draw(&Text::new(self.title, (EDGE.0 + cols * CELL / 2, 18), centred(18))).map_err(text)?;
        area.draw(&Text::new(self.axes.1, (EDGE.0 + cols * CELL / 2, 44), centred(14))).map_err(text)?;
        let turned = centred(14).transform(FontTransform::Rotate270);
        area.draw(&Text::new(self.axes.0, (20, EDGE.1 + rows * CELL / 2), turned)).map_err(text)?;
        for (c, label) in self.labels.1.iter().enumerate() {
            area.draw(&Text::new(label.clone(), (middle(0, c as i32).0, EDGE.1 - 14), centred(14))).map_err(text)?;
        }
        let right = font(14).color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
        for r in 0..rows {
            if let Some(label) = self.labels.0.get(r as usize) {
                area.draw(&Text::new(label.clone(), (EDGE.0 - 10, middle(r, 0).1), right.clone())).map_err(text)?;
            }
            let total: f64 = (0..cols).map(|c| self.values.at([r as usize, c as usize])).sum();
            for c in 0..cols {
                let value = self.values.at([r as usize, c as usize]);
                // The square root lets few mistakes among many hits be seen.
                let share = if total > 0.0 { (value / total).max(0.0).sqrt() } else { 0.0 };
                let shade = |light: f64, dark: f64| (light + (dark - light) * share) as u8;
                let color = RGBColor(shade(255.0, 31.0), shade(255.0, 119.0), shade(255.0, 180.0));
                let (x, y) = middle(r, c);
                let corner = [(x - CELL / 2, y - CELL / 2), (x + CELL / 2 - 1, y + CELL / 2 - 1)];
                area.draw(&Rectangle::new(corner, color.filled())).map_err(text)?;
                let ink = if share > 0.6 { &WHITE } else { &BLACK };
                let style = font(13).color(ink).pos(Pos::new(HPos::Center, VPos::Center));
                area.draw(&Text::new(format!("{value}"), (x, y), style)).map_err(text)?;
            }
        }
        Ok(())
    }
}

/// Writes a matrix `[rows, columns]` with its numbers in cells shaded by their share of their row. `axes` names what rows
/// and columns are.
///
/// # Errors
/// When the labels do not fit the matrix, or the file cannot be written.
pub fn heatmap(
    path: impl AsRef<Path>,
    title: &str,
    values: &Tensor<f64>,
    labels: (&[String], &[String]),
    axes: (&str, &str),
) -> Result<(), TrainError> {
    draw_heatmap(path.as_ref(), title, values, labels, axes)
}

fn draw_heatmap(
    path: &Path,
    title: &str,
    values: &Tensor<f64>,
    labels: (&[String], &[String]),
    axes: (&str, &str),
) -> Result<(), TrainError> {
    if values.rank() != 2 || labels.0.len() != values.size(0) || labels.1.len() != values.size(1) {
        return Err(TrainError::new(format!(
            "heatmap: values {}, {} row labels, {} column labels; wanted a matrix and a label a row and column",
            values.shape(),
            labels.0.len(),
            labels.1.len()
        )));
    }
    let size = (EDGE.0 + CELL * values.size(1) as i32 + 20, EDGE.1 + CELL * values.size(0) as i32 + 20);
    save(path, (size.0 as u32, size.1 as u32), &Heatmap { title, values, labels, axes })
}
