//! Pictures beside each other, with captions.

use super::{Draw, save};
use crate::error::TrainError;
use gradus_tensor::Tensor;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

struct Grid<'a> {
    images: &'a Tensor<f32>,
    captions: &'a [String],
    columns: usize,
    scale: usize,
}

impl Grid<'_> {
    fn cell(&self) -> (usize, usize) {
        let caption = if self.captions.is_empty() { 0 } else { 22 };
        (self.images.size(3) * self.scale + 12, self.images.size(2) * self.scale + 12 + caption)
    }
}

impl Draw for Grid<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), String> {
        let text = |e: DrawingAreaErrorKind<B::ErrorType>| e.to_string();
        let (n, channels, height, width) = (self.images.size(0), self.images.size(1), self.images.size(2), self.images.size(3));
        let (cell_width, cell_height) = self.cell();
        for i in 0..n {
            let (left, top) = (i % self.columns * cell_width + 6, i / self.columns * cell_height + 6);
            for y in 0..height {
                for x in 0..width {
                    let level = |c: usize| (self.images.at([i, c.min(channels - 1), y, x]).clamp(0.0, 1.0) * 255.0).round() as u8;
                    let color = RGBColor(level(0), level(1), level(2));
                    let from = ((left + x * self.scale) as i32, (top + y * self.scale) as i32);
                    let to = (from.0 + self.scale as i32, from.1 + self.scale as i32);
                    area.draw(&Rectangle::new([from, to], color.filled())).map_err(text)?;
                }
            }
            if let Some(caption) = self.captions.get(i) {
                let at = (left as i32, (top + height * self.scale + 3) as i32);
                area.draw(&Text::new(caption.clone(), at, ("sans-serif", 14))).map_err(text)?;
            }
        }
        Ok(())
    }
}

/// Writes pictures `[N, C, H, W]` with values from 0 to 1 (one channel is grey, three are red, green and blue) in rows of
/// `columns`, enlarged so that each is about 100 pixels high, with a caption under each unless there are none.
///
/// # Errors
/// When the shape is another, there is not one caption a picture, or the file cannot be written.
pub fn image_grid(path: impl AsRef<Path>, images: &Tensor<f32>, captions: &[String], columns: usize) -> Result<(), TrainError> {
    draw_grid(path.as_ref(), images, captions, columns)
}

fn draw_grid(path: &Path, images: &Tensor<f32>, captions: &[String], columns: usize) -> Result<(), TrainError> {
    let fits = images.rank() == 4 && matches!(images.size(1), 1 | 3) && images.numel() > 0 && columns > 0;
    if !fits || !(captions.is_empty() || captions.len() == images.size(0)) {
        return Err(TrainError::new(format!(
            "image_grid: images {}, {} captions, {columns} columns; wanted [N, 1 or 3, H, W], a caption for each or none, and \
             1 column or more",
            images.shape(),
            captions.len()
        )));
    }
    let scale = (100 / images.size(2)).max(1);
    let grid = Grid { images, captions, columns: columns.min(images.size(0)), scale };
    let (width, height) = grid.cell();
    let rows = images.size(0).div_ceil(grid.columns);
    let pixels = |cells: usize, each: usize| u32::try_from(cells.saturating_mul(each)).unwrap_or(u32::MAX);
    save(path, (pixels(grid.columns, width), pixels(rows, height)), &grid)
}
