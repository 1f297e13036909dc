//! Line charts, also over the contour of a function of two variables.

use super::{COLORS, Draw, save};
use crate::error::TrainError;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

/// A line through points, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    label: String,
    points: Vec<(f64, f64)>,
    marked: bool,
}

impl Series {
    /// A line named `label` in the legend; points that are not finite, or beyond ±1e100, are left out.
    pub fn new(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        let points = points.into_iter().filter(|(x, y)| x.abs() <= 1e100 && y.abs() <= 1e100).collect();
        Self { label: label.into(), points, marked: false }
    }

    /// With a dot on each point.
    #[must_use]
    pub fn with_points(self) -> Self {
        Self { marked: true, ..self }
    }
}

/// An area between two lines.
#[derive(Clone, Debug, PartialEq)]
struct Band {
    label: String,
    /// Of each point along the horizontal axis, from where to where.
    points: Vec<(f64, f64, f64)>,
}

type Contour = Box<dyn Fn(f64, f64) -> f64>;

/// Lines in one frame.
pub struct Chart {
    title: String,
    x_label: String,
    y_label: String,
    series: Vec<Series>,
    bands: Vec<Band>,
    x_range: Option<(f64, f64)>,
    y_range: Option<(f64, f64)>,
    contour: Option<Contour>,
}

impl Chart {
    /// An empty frame.
    pub fn new(title: impl Into<String>, x_label: impl Into<String>, y_label: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            series: Vec::new(),
            bands: Vec::new(),
            x_range: None,
            y_range: None,
            contour: None,
        }
    }

    /// With one more line.
    #[must_use]
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// With a shaded area behind the lines: of each `x`, from a lower value to a higher one.
    ///
    /// ```
    /// use gradus_train::plot::{Chart, Series};
    /// let chart = Chart::new("A forecast", "year", "value")
    ///     .band("nine of ten", vec![(1.0, 0.5, 1.5), (2.0, 0.0, 3.0)])
    ///     .series(Series::new("mean", vec![(1.0, 1.0), (2.0, 1.4)]));
    /// # let dir = tempfile::tempdir()?;
    /// chart.save(dir.path().join("forecast.svg"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn band(mut self, label: impl Into<String>, points: Vec<(f64, f64, f64)>) -> Self {
        let drawn = |p: &(f64, f64, f64)| [p.0, p.1, p.2].iter().all(|v| v.abs() <= 1e100);
        self.bands.push(Band { label: label.into(), points: points.into_iter().filter(drawn).collect() });
        self
    }

    /// With fixed ends of the axes instead of those of the points.
    #[must_use]
    pub fn range(mut self, x: (f64, f64), y: (f64, f64)) -> Self {
        (self.x_range, self.y_range) = (Some(x), Some(y));
        self
    }

    /// With a function of the plane behind the lines, in bands of equal steps of its logarithm above its smallest value;
    /// needs a [`range`](Self::range).
    #[must_use]
    pub fn contour(mut self, f: impl Fn(f64, f64) -> f64 + 'static) -> Self {
        self.contour = Some(Box::new(f));
        self
    }

    /// Writes the chart as SVG or PNG, by the path's extension.
    ///
    /// # Errors
    /// When the extension is another, or the file cannot be written.
    pub fn save(self, path: impl AsRef<Path>) -> Result<(), TrainError> {
        save_charts(path, &[self])
    }

    /// The ends of an axis: as fixed, or those of the points with a little air.
    fn ends(&self, fixed: Option<(f64, f64)>, of: impl Fn(&(f64, f64)) -> f64, air: f64) -> (f64, f64) {
        if let Some(ends) = fixed {
            return ends;
        }
        let edges = self.bands.iter().flat_map(|b| b.points.iter().flat_map(|&(x, low, high)| [(x, low), (x, high)]));
        let edges: Vec<f64> = edges.map(|p| of(&p)).collect();
        let values = self.series.iter().flat_map(|s| s.points.iter().map(&of)).chain(edges);
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        match high - low {
            span if span > 0.0 => (low - air * span, high + air * span),
            _ if low.is_finite() => (low - 0.5f64.max(0.1 * low.abs()), high + 0.5f64.max(0.1 * high.abs())),
            _ => (0.0, 1.0),
        }
    }

    /// Where the legend hides least of the lines.
    fn emptiest_corner(&self, x: (f64, f64), y: (f64, f64)) -> SeriesLabelPosition {
        use SeriesLabelPosition::{LowerLeft, LowerRight, UpperLeft, UpperRight};
        let share = |v: f64, (low, high): (f64, f64)| (v - low) / (high - low);
        let along = |s: &Series| {
            let between = |(a, b): (&(f64, f64), &(f64, f64))| {
                let (a, b) = (*a, *b);
                (0..=8).map(move |i| f64::from(i) / 8.0).map(move |t| (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)))
            };
            s.points.iter().zip(s.points.iter().skip(1)).flat_map(between).collect::<Vec<_>>()
        };
        let points: Vec<(f64, f64)> = self.series.iter().flat_map(along).map(|p| (share(p.0, x), share(p.1, y))).collect();
        let inside = |right: bool, top: bool| {
            let (far, high) = (|v: f64| if right { v > 0.7 } else { v < 0.3 }, |v: f64| if top { v > 0.7 } else { v < 0.3 });
            points.iter().filter(|p| far(p.0) && high(p.1)).count()
        };
        let corners = [(true, true, UpperRight), (true, false, LowerRight), (false, true, UpperLeft), (false, false, LowerLeft)];
        corners.into_iter().min_by_key(|&(right, top, _)| inside(right, top)).map_or(UpperRight, |(_, _, corner)| corner)
    }
}

impl Draw for Chart {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), String> {
        let text = |e: DrawingAreaErrorKind<B::ErrorType>| e.to_string();
        let (x, y) = (self.ends(self.x_range, |p| p.0, 0.03), self.ends(self.y_range, |p| p.1, 0.06));
        // Between epochs there is nothing to be named.
        let whole = self.contour.is_none() && self.series.iter().all(|s| s.points.iter().all(|p| p.0.fract() == 0.0));
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(14)
            .x_label_area_size(40)
            .y_label_area_size(58)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)
            .map_err(text)?;
        if let Some(f) = &self.contour {
            let cells = bands(f, x, y);
            chart.draw_series(cells.into_iter().map(|(a, b, c)| Rectangle::new([a, b], c.filled()))).map_err(text)?;
        }
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.1))
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .x_labels(8)
            .y_labels(7)
            .label_style(("sans-serif", 14))
            .axis_desc_style(("sans-serif", 15))
            .x_label_formatter(&|v| if whole && v.fract().abs() > 1e-9 { String::new() } else { tick(*v) })
            .y_label_formatter(&|v| tick(*v))
            .draw()
            .map_err(text)?;
        for (i, band) in self.bands.iter().enumerate() {
            let color = COLORS[(self.series.len() + i) % COLORS.len()].mix(0.25);
            let back = band.points.iter().rev().map(|&(x, _, high)| (x, high));
            let around: Vec<(f64, f64)> = band.points.iter().map(|&(x, low, _)| (x, low)).chain(back).collect();
            chart
                .draw_series([Polygon::new(around, color)])
                .map_err(text)?
                .label(&band.label)
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], color.filled()));
        }
        for (i, s) in self.series.iter().enumerate() {
            let color = COLORS[i % COLORS.len()];
            let line = LineSeries::new(s.points.iter().copied(), color.stroke_width(2));
            chart
                .draw_series(line)
                .map_err(text)?
                .label(&s.label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
            if s.marked {
                chart.draw_series(s.points.iter().map(|&p| Circle::new(p, 3, color.filled()))).map_err(text)?;
            }
        }
        let labels = self.series.iter().map(|s| &s.label).chain(self.bands.iter().map(|b| &b.label));
        if labels.into_iter().any(|label| !label.is_empty()) {
            chart
                .configure_series_labels()
                .position(self.emptiest_corner(x, y))
                .background_style(WHITE.mix(0.85))
                .border_style(BLACK.mix(0.2))
                .label_font(("sans-serif", 14))
                .draw()
                .map_err(text)?;
        }
        Ok(())
    }
}

/// A number at an axis: as short as it can be.
fn tick(v: f64) -> String {
    if v != 0.0 && (v.abs() >= 1e5 || v.abs() < 1e-3) {
        return format!("{v:.1e}");
    }
    let text = format!("{v:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

type Cell = ((f64, f64), (f64, f64), RGBColor);

/// The plane in cells, coloured by bands of the logarithm of the function.
fn bands(f: &Contour, x: (f64, f64), y: (f64, f64)) -> Vec<Cell> {
    const CELLS: usize = 160;
    const BANDS: f64 = 14.0;
    let at = |i: usize, (low, high): (f64, f64)| low + (high - low) * i as f64 / CELLS as f64;
    let middle = |i: usize, ends| (at(i, ends) + at(i + 1, ends)) / 2.0;
    let values: Vec<f64> = (0..CELLS * CELLS).map(|k| f(middle(k % CELLS, x), middle(k / CELLS, y))).collect();
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
    let scale = |v: f64| (1.0 + 100.0 * (v - low) / (high - low).max(f64::MIN_POSITIVE)).ln() / 101f64.ln();
    let color = |v: f64| {
        let band = (scale(v) * BANDS).floor() / BANDS;
        let shade = |light: f64, dark: f64| (light + (dark - light) * band) as u8;
        RGBColor(shade(250.0, 120.0), shade(252.0, 150.0), shade(255.0, 190.0))
    };
    // Twice as wide and high as they are: what comes later paints over, and rounding leaves no gaps.
    let end = |i: usize, ends| at((i + 2).min(CELLS), ends);
    let cell = |k: usize| ((at(k % CELLS, x), at(k / CELLS, y)), (end(k % CELLS, x), end(k / CELLS, y)), color(values[k]));
    (0..CELLS * CELLS).map(cell).collect()
}

struct SideBySide<'a>(&'a [Chart]);

impl Draw for SideBySide<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), String> {
        let columns = self.0.len().min(2);
        let parts = area.split_evenly((self.0.len().div_ceil(columns), columns));
        self.0.iter().zip(&parts).try_for_each(|(chart, part)| chart.draw(part))
    }
}

/// Writes charts side by side, two a row, as SVG or PNG by the path's extension.
///
/// # Errors
/// When there is none, the extension is another, or the file cannot be written.
pub fn save_charts(path: impl AsRef<Path>, charts: &[Chart]) -> Result<(), TrainError> {
    draw_charts(path.as_ref(), charts)
}

fn draw_charts(path: &Path, charts: &[Chart]) -> Result<(), TrainError> {
    if charts.is_empty() {
        return Err(TrainError::new("plot: there is no chart to draw"));
    }
    let columns = charts.len().min(2) as u32;
    let rows = charts.len().div_ceil(2) as u32;
    save(path, (if columns == 1 { 760 } else { 620 * columns }, if columns == 1 { 560 } else { 430 * rows }), &SideBySide(charts))
}
