//! Smooth pixels: what is drawn several times as large and then averaged has soft edges, which the pixel surface itself
//! does not draw.

use plotters::backend::BitMapBackend;
use plotters::style::{FontDesc, TextStyle};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};
use std::ops::Range;

/// A surface that looks `width` x `height` to the drawing, and is `times` as large.
pub(super) struct Enlarged<'a> {
    inner: BitMapBackend<'a>,
    times: u32,
}

impl<'a> Enlarged<'a> {
    /// Draws on RGB pixels of `width * times` x `height * times`.
    pub fn new(pixels: &'a mut [u8], (width, height): (u32, u32), times: u32) -> Self {
        Self { inner: BitMapBackend::with_buffer(pixels, (width * times, height * times)), times }
    }

    /// The large pixels that a small one has along an axis.
    fn span(&self, v: i32) -> Range<i32> {
        let times = self.times as i32;
        v.saturating_mul(times)..v.saturating_mul(times).saturating_add(times)
    }

    fn middle(&self, (x, y): BackendCoord) -> BackendCoord {
        let half = self.times as i32 / 2;
        (self.span(x).start.saturating_add(half), self.span(y).start.saturating_add(half))
    }

    fn stroke(&self, style: &impl BackendStyle) -> Stroke {
        Stroke { color: style.color(), width: style.stroke_width() * self.times }
    }
}

struct Stroke {
    color: BackendColor,
    width: u32,
}

impl BackendStyle for Stroke {
    fn color(&self) -> BackendColor {
        self.color
    }
    fn stroke_width(&self) -> u32 {
        self.width
    }
}

type Drawn<'a> = Result<(), DrawingErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;

impl<'a> DrawingBackend for Enlarged<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        let (width, height) = self.inner.get_size();
        (width / self.times, height / self.times)
    }

    fn ensure_prepared(&mut self) -> Drawn<'a> {
        self.inner.ensure_prepared()
    }

    fn present(&mut self) -> Drawn<'a> {
        self.inner.present()
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn<'a> {
        self.draw_rect((x, y), (x.saturating_add(1), y.saturating_add(1)), &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn<'a> {
        let (from, to, stroke) = (self.middle(from), self.middle(to), self.stroke(style));
        self.inner.draw_line(from, to, &stroke)
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn<'a> {
        if !fill {
            let (from, to, stroke) = (self.middle(from), self.middle(to), self.stroke(style));
            let corners = [from, (to.0, from.1), to, (from.0, to.1), from];
            return self.inner.draw_path(corners, &stroke);
        }
        let low = (self.span(from.0.min(to.0)).start, self.span(from.1.min(to.1)).start);
        // Neither here nor there is the lower right corner a part of it.
        let high = (self.span(from.0.max(to.0)).start, self.span(from.1.max(to.1)).start);
        self.inner.draw_rect(low, high, &style.color(), true)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn<'a> {
        let (path, stroke): (Vec<_>, _) = (path.into_iter().map(|p| self.middle(p)).collect(), self.stroke(style));
        self.inner.draw_path(path, &stroke)
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn<'a> {
        let (center, stroke) = (self.middle(center), self.stroke(style));
        self.inner.draw_circle(center, radius * self.times, &stroke, fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, corners: I, style: &S) -> Drawn<'a> {
        let corners: Vec<_> = corners.into_iter().map(|p| self.middle(p)).collect();
        self.inner.fill_polygon(corners, &style.color())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn<'a> {
        let font = FontDesc::new(style.family(), style.size() * f64::from(self.times), style.style());
        let large = TextStyle { font: font.transform(style.transform()), color: style.color(), pos: style.anchor() };
        let at = self.middle(at);
        self.inner.draw_text(text, &large, at)
    }
}

/// RGB pixels `times` as small each way, as means.
pub(super) fn shrink(pixels: &[u8], (width, height): (u32, u32), times: u32) -> Vec<u8> {
    let (width, times) = (width as usize, times as usize);
    let mut small = Vec::with_capacity(width * height as usize * 3);
    for rows in pixels.chunks_exact(width * times * times * 3) {
        for at in 0..width * 3 {
            let (x, channel) = (at / 3, at % 3);
            let block = rows.chunks_exact(width * times * 3).flat_map(|row| row[x * times * 3..(x + 1) * times * 3].iter());
            let sum: usize = block.skip(channel).step_by(3).map(|&v| usize::from(v)).sum();
            small.push(((sum + times * times / 2) / (times * times)) as u8);
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filled rectangle covers its pixels wholly and no others, opaque or not.
    #[test]
    fn rectangles_cover_what_they_should() {
        for (alpha, inside) in [(1.0, 0), (0.5, 127)] {
            let mut pixels = vec![255u8; 4 * 5 * 3 * 9];
            let color = BackendColor { alpha, rgb: (0, 0, 0) };
            Enlarged::new(&mut pixels, (4, 5), 3).draw_rect((1, 2), (2, 4), &color, true).unwrap();
            let small = shrink(&pixels, (4, 5), 3);
            for (i, pixel) in small.chunks_exact(3).enumerate() {
                let expected = if i % 4 == 1 && (2..4).contains(&(i / 4)) { inside } else { 255 };
                assert!(pixel.iter().all(|&v| v.abs_diff(expected) <= 1), "alpha {alpha}, pixel {i}: {pixel:?}, not {expected}");
            }
        }
    }

    #[test]
    fn shrinking_is_the_mean_of_each_block() {
        let (width, height, times) = (3u32, 2u32, 2u32);
        let pixels: Vec<u8> = (0..width * height * times * times * 3).map(|i| (i * 7 % 251) as u8).collect();
        let small = shrink(&pixels, (width, height), times);
        assert_eq!(small.len(), 18);
        for (y, x, c) in [(0, 0, 0), (0, 2, 1), (1, 1, 2), (1, 2, 0)] {
            let at = |dy: usize, dx: usize| f64::from(pixels[(((y * 2 + dy) * 6) + x * 2 + dx) * 3 + c]);
            let mean = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0;
            assert!((f64::from(small[(y * 3 + x) * 3 + c]) - mean).abs() <= 0.5);
        }
    }
}
