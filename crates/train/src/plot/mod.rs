//! Pictures of numbers: curves, grids of images, matrices. SVG or PNG by the file's extension, drawn with a font that this
//! crate carries, so that no font need be installed.

mod chart;
mod curves;
mod grid;
mod matrix;
mod smooth;

pub use chart::{Chart, Series, save_charts};
pub use grid::image_grid;
pub use matrix::heatmap;

use crate::error::TrainError;
use gradus_data::atomic_write;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use smooth::Enlarged;
use std::io::Write;
use std::path::Path;
use std::sync::Once;

/// The first colours of Matplotlib's default cycle.
pub(crate) const COLORS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
];

fn ensure_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A subset of DejaVu Sans: Latin-1, Greek and a few signs.
        let font = include_bytes!("../../assets/dejavu-sans-subset.ttf");
        if register_font("sans-serif", FontStyle::Normal, font).is_err() {
            unreachable!("the font that this crate carries is a valid one");
        }
    });
}

/// A drawing that works on any of plotters' surfaces.
pub(crate) trait Draw {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), String>;
}

const MOST_PIXELS: u64 = 1 << 26;

/// Draws on a white picture of `width` x `height` and writes it, as SVG or PNG by the extension.
pub(crate) fn save(path: &Path, (width, height): (u32, u32), drawing: &impl Draw) -> Result<(), TrainError> {
    ensure_font();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(TrainError::in_file(path, format!("a picture of {width} x {height} pixels is too large to draw")));
    }
    let failed = |e: String| TrainError::in_file(path, format!("cannot draw: {e}"));
    let bytes = match path.extension().and_then(|e| e.to_str()) {
        Some("svg") => {
            let mut svg = String::new();
            {
                let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
                area.fill(&WHITE).map_err(|e| failed(e.to_string()))?;
                drawing.draw(&area).map_err(failed)?;
                area.present().map_err(|e| failed(e.to_string()))?;
            }
            svg.into_bytes()
        }
        Some("png") => {
            // Large pictures are of pixels, such as grids of images, rather than of lines.
            let times = if u64::from(width) * u64::from(height) < MOST_PIXELS / 16 { 3 } else { 1 };
            let mut pixels = vec![255u8; width as usize * height as usize * 3 * (times * times) as usize];
            {
                let area = Enlarged::new(&mut pixels, (width, height), times).into_drawing_area();
                drawing.draw(&area).map_err(failed)?;
                area.present().map_err(|e| failed(e.to_string()))?;
            }
            let pixels = smooth::shrink(&pixels, (width, height), times);
            encode_png(&pixels, width, height).map_err(failed)?
        }
        _ => return Err(TrainError::in_file(path, "a picture's name must end in .svg or .png")),
    };
    Ok(atomic_write(path, |file| file.write_all(&bytes))?)
}

/// RGB pixels as PNG.
pub(crate) fn encode_png(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels)).map_err(|e| e.to_string())?;
    Ok(bytes)
}
