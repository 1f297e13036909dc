//! The one description of a normalisation that all kernels read.

use std::ops::Range;

/// A normalisation's geometry: `[samples, channels, inner]`, and which elements share their statistics. Weight and bias are per channel.
/// Over the last axes it is that of one group of channels whose planes have one element.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub samples: usize,
    pub channels: usize,
    pub inner: usize,
    /// Of so many groups of channels each shares them, in one sample; `None` where a channel does, in all samples.
    pub groups: Option<usize>,
    /// Whether the mean is taken away; the statistics are otherwise mean squares.
    pub centred: bool,
}

/// Planes at least this long are normalised a plane at a time, with one number for all of it; vectors hold elements of several channels
/// where they are shorter.
const LONG: usize = 64;
/// Elements whose sum one set of vectors takes, and whose squares are summed while they are in the first-level cache.
pub const BLOCK: usize = 1 << 11;
/// Elements that a task takes, about.
pub const TASK: usize = 1 << 14;
/// Rows of a batch whose columns are summed by one set of vectors.
pub const ROWS: usize = 64;
/// Columns that a task takes, about.
pub const STRIP: usize = 512;
/// Elements below which a second thread does not pay.
const SERIAL: usize = 1 << 16;

/// How vectors lie in the channels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Along planes: a channel at a time.
    Planes,
    /// Along a group of channels, a row of memory: each lane has a weight of its own, and the statistics are those of the row.
    Rows,
    /// Along the channels of a batch: each lane has statistics of its own.
    Columns,
}

impl Geometry {
    pub fn form(&self) -> Form {
        match self.groups {
            _ if self.inner >= LONG => Form::Planes,
            None => Form::Columns,
            Some(_) => Form::Rows,
        }
    }
    pub fn numel(&self) -> usize {
        self.samples * self.sample()
    }
    /// Elements of one sample.
    pub fn sample(&self) -> usize {
        self.channels * self.inner
    }
    /// How many means and variances there are.
    pub fn statistics(&self) -> usize {
        match self.groups {
            None => self.channels,
            Some(groups) => self.samples * groups,
        }
    }
    /// How many elements share one.
    pub fn count(&self) -> usize {
        match self.groups {
            None => self.samples * self.inner,
            Some(groups) => self.sample() / groups,
        }
    }
    /// Whether one thread does all.
    pub fn is_small(&self) -> bool {
        self.numel() < SERIAL
    }
    /// The elements that share statistic `s`: as planes, one a row, or as one row of memory.
    pub fn rect(&self, s: usize) -> Rect {
        match self.groups {
            None => Rect { at: s * self.inner, rows: self.samples, step: self.sample(), n: self.inner },
            Some(_) if self.form() == Form::Rows => Rect { at: s * self.count(), rows: 1, step: 0, n: self.count() },
            Some(groups) => Rect { at: s * self.count(), rows: self.channels / groups, step: self.inner, n: self.inner },
        }
    }
    /// Parts of about `size` elements of those that share a statistic, all statistics' one after the other, each with the statistic
    /// and the number of its first row within it.
    pub fn blocks(&self, size: usize) -> Vec<(usize, usize, Rect)> {
        let of = |s: usize| self.rect(s).blocks(size).map(move |(first, block)| (s, first, block));
        (0..self.statistics()).flat_map(of).collect()
    }
    /// Whether there are enough statistics to be shared among threads; a single one is otherwise.
    pub fn has_many(&self) -> bool {
        self.is_small() || self.statistics() >= 16
    }
    /// Statistics that a task takes, where there are many.
    pub fn per_task(&self) -> usize {
        if self.is_small() { self.statistics().max(1) } else { TASK.div_ceil(self.count().max(1)) }
    }
    /// All elements in parts of [`ROWS`] samples and [`STRIP`] columns: the number of each part's rows, its first column, and where it is.
    pub fn tiles(&self) -> Vec<(usize, usize, Rect)> {
        let width = self.sample();
        let row = |first: usize| {
            (0..width).step_by(STRIP).map(move |left| {
                let rect = Rect {
                    at: first * width + left,
                    rows: ROWS.min(self.samples - first),
                    step: width,
                    n: STRIP.min(width - left),
                };
                (first / ROWS, left, rect)
            })
        };
        (0..self.samples).step_by(ROWS).flat_map(row).collect()
    }
    /// The channels of statistic `s`.
    pub fn channels_of(&self, s: usize) -> Range<usize> {
        match self.groups {
            None => s..s + 1,
            Some(groups) => {
                let size = self.channels / groups;
                let first = s % groups * size;
                first..first + size
            }
        }
    }
    /// How many of the [`tiles`](Self::tiles) a task takes.
    pub fn tiles_of_task<A>(&self, tiles: &[A]) -> usize {
        if self.is_small() { tiles.len().max(1) } else { (TASK * tiles.len()).div_ceil(self.numel()) }
    }
}

/// Rows of `n` elements of a buffer, `step` apart, the first at `at`.
#[derive(Clone, Copy, Debug)]
pub struct Rect {
    pub at: usize,
    pub rows: usize,
    pub step: usize,
    pub n: usize,
}

impl Rect {
    /// Where row `k` starts.
    #[inline(always)]
    pub fn row(&self, k: usize) -> usize {
        self.at + k * self.step
    }
    /// Whether it lies within `len` elements.
    pub fn lies_in(&self, len: usize) -> bool {
        self.rows == 0 || self.row(self.rows - 1) + self.n <= len
    }
    /// Parts of about `size` elements, each with the number of its first row: whole rows, or pieces of one.
    pub fn blocks(self, size: usize) -> impl Iterator<Item = (usize, Rect)> {
        let rows = (size / self.n.max(1)).max(1);
        (0..self.rows).step_by(rows).flat_map(move |first| {
            (0..self.n).step_by(size).map(move |left| {
                let rect =
                    Rect { at: self.row(first) + left, rows: rows.min(self.rows - first), n: size.min(self.n - left), ..self };
                (first, rect)
            })
        })
    }
}
