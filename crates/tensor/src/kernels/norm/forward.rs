//! Statistics, and values by them.

use super::geometry::{BLOCK, Form, Geometry, ROWS, Rect, TASK};
use super::moments::{self, Found, Moments, Scaling};
use super::planes::PerRow;
use super::{columns, planes, rows};
use crate::kernels::parallel::{Parts, chunks, chunks_mut, items};
use crate::kernels::shared::Shared;
use crate::kernels::simd::{Lanes, with_vectors};
use std::borrow::Cow;

/// Weight and bias `[channels]`.
#[derive(Clone, Copy)]
pub struct Affine<'a, T> {
    pub weight: &'a [T],
    pub bias: &'a [T],
}

/// Where the statistics go: three numbers of [`Scaling`] each, and the mean and variance.
pub struct Statistics<'a, T> {
    pub scaling: &'a mut [T],
    pub mean: &'a mut [T],
    pub variance: &'a mut [T],
}

impl<'a, T: Lanes> Statistics<'a, T> {
    /// Each statistic's own part.
    fn parts(self) -> impl Parts<Part = (&'a mut [T], &'a mut [T], &'a mut [T])> {
        (chunks_mut(self.scaling, 3), chunks_mut(self.mean, 1), chunks_mut(self.variance, 1))
    }
}

fn keep<T: Lanes>(found: Found<T>, (scaling, mean, variance): (&mut [T], &mut [T], &mut [T])) {
    found.scaling.write(scaling);
    (mean[0], variance[0]) = (found.mean, found.variance);
}

/// `(x - mean) / √(variance + eps) · weight + bias`, and the statistics.
pub fn forward<T: Lanes>(g: &Geometry, x: &[T], affine: Affine<'_, T>, eps: f64, out: &mut [T], to: Statistics<'_, T>) {
    assert!(x.len() == g.numel() && out.len() == x.len() && to.scaling.len() == 3 * g.statistics());
    assert!([affine.weight.len(), affine.bias.len()] == [g.channels; 2]);
    if x.is_empty() {
        to.scaling.fill(T::NAN);
        to.mean.fill(T::NAN);
        return to.variance.fill(T::NAN);
    }
    match g.form() {
        Form::Planes => of_planes(g, x, affine, eps, out, to),
        Form::Rows => of_rows(g, x, affine, eps, out, to),
        Form::Columns => {
            let Statistics { scaling, mean, variance } = to;
            column_statistics(g, x, eps, Statistics { scaling: &mut *scaling, mean, variance });
            by_columns(g, x, affine, scaling, out);
        }
    }
}

/// `(x · unit - mean) · scale · weight + bias` of a batch, by given scalings.
pub fn by_scaling<T: Lanes>(g: &Geometry, x: &[T], affine: Affine<'_, T>, scaling: &[T], out: &mut [T]) {
    assert!(g.groups.is_none() && x.len() == g.numel() && out.len() == x.len() && scaling.len() == 3 * g.channels);
    if x.is_empty() {
        return;
    }
    if g.form() == Form::Columns {
        return by_columns(g, x, affine, scaling, out);
    }
    let y = Shared::of(out);
    // In the order of memory.
    let least = if g.is_small() { g.samples * g.channels } else { TASK.div_ceil(g.inner) };
    (0..g.samples * g.channels).each_at_least(least, |_, plane| {
        let c = plane % g.channels;
        let rect = Rect { at: plane * g.inner, rows: 1, step: 0, n: g.inner };
        apply_plane(x, y, rect, Scaling::read(scaling, c), affine, (c, 0));
    });
}

/// Values of some planes, the first of which has the weight of `channel`, and each next the one `step` on.
fn apply_plane<T: Lanes>(
    x: &[T],
    out: Shared<T>,
    rect: Rect,
    by: Scaling<T>,
    affine: Affine<'_, T>,
    (channel, step): (usize, usize),
) {
    let [weight, bias] = [affine.weight, affine.bias].map(|all| PerRow { values: &all[channel..], step });
    with_vectors(planes::Apply { x, out, rect, by, weight, bias });
}

fn found<T: Lanes>(x: &[T], rect: Rect, eps: f64, centred: bool, moments: Moments) -> Found<T> {
    if !moments::is_lost::<T>(&moments, eps) {
        return Found::of(&moments, eps);
    }
    let unit = moments::unit_for(moments::largest(x, rect));
    Found::in_units(&moments::of_rect(x, rect, unit, centred), eps, unit)
}

fn of_planes<T: Lanes>(g: &Geometry, x: &[T], affine: Affine<'_, T>, eps: f64, out: &mut [T], to: Statistics<'_, T>) {
    let y = Shared::of(out);
    let step = usize::from(g.groups.is_some());
    if g.has_many() {
        // What was read for the statistics may still be in the second-level cache.
        return to.parts().each_at_least(g.per_task(), |s, to| {
            let rect = g.rect(s);
            let found = found(x, rect, eps, g.centred, moments::of_rect(x, rect, T::one(), g.centred));
            keep(found, to);
            apply_plane(x, y, rect, found.scaling, affine, (g.channels_of(s).start, step));
        });
    }
    let scalings = in_parts(g, x, eps, to);
    items(g.blocks(TASK)).each(|_, (s, first, block)| {
        apply_plane(x, y, block, scalings[s], affine, (g.channels_of(s).start + first * step, step));
    });
}

/// The scalings of few statistics, each of which is shared among threads.
fn in_parts<T: Lanes>(g: &Geometry, x: &[T], eps: f64, to: Statistics<'_, T>) -> Vec<Scaling<T>> {
    let blocks = g.blocks(BLOCK);
    let moments = chunks(&blocks, 1).map_at_least(8, |_, block| moments::of_block(x, block[0].2, T::one(), g.centred));
    let each = blocks.len() / g.statistics().max(1);
    to.parts().map_at_least(1, |s, to| {
        let joined = Moments::joined(moments[s * each..][..each].iter().copied());
        let found = found(x, g.rect(s), eps, g.centred, joined);
        keep(found, to);
        found.scaling
    })
}

/// `values`, each `inner` times: a number for each element of a sample.
pub(super) fn spread<T: Copy>(values: &[T], inner: usize) -> Cow<'_, [T]> {
    if inner == 1 {
        return Cow::Borrowed(values);
    }
    values.iter().flat_map(|&v| std::iter::repeat_n(v, inner)).collect()
}

fn of_rows<T: Lanes>(g: &Geometry, x: &[T], affine: Affine<'_, T>, eps: f64, out: &mut [T], to: Statistics<'_, T>) {
    let n = g.count();
    let (weight, bias) = (spread(affine.weight, g.inner), spread(affine.bias, g.inner));
    let apply = |s: usize, left: usize, out: &mut [T], by: Scaling<T>| {
        let own = g.channels_of(s).start * g.inner + left..;
        let [weight, bias] = [&weight, &bias].map(|all| &all[own.clone()][..out.len()]);
        with_vectors(rows::Apply { x: &x[s * n + left..][..out.len()], weight, bias, out, by });
    };
    if g.has_many() {
        return (chunks_mut(out, n), to.parts()).each_at_least(g.per_task(), |s, (out, to)| {
            let rect = g.rect(s);
            let found = found(x, rect, eps, g.centred, moments::of_rect(x, rect, T::one(), g.centred));
            keep(found, to);
            apply(s, 0, out, found.scaling);
        });
    }
    let scalings = in_parts(g, x, eps, to);
    let pieces =
        out.chunks_mut(n).enumerate().flat_map(|(s, out)| out.chunks_mut(TASK).enumerate().map(move |(i, out)| (s, i, out)));
    items(pieces).each(|_, (s, i, out)| apply(s, i * TASK, out, scalings[s]));
}

/// The moments of each channel of a batch, whose elements are multiplied by their channel's `unit` first.
fn of_channels<T: Lanes>(g: &Geometry, x: &[T], unit: &[T]) -> Vec<Moments> {
    let (width, unit) = (g.sample(), spread(unit, g.inner));
    let tiles = g.tiles();
    let rows = tiles.last().map_or(0, |tile| tile.0 + 1);
    // For each tile's rows and each column a mean and a sum of squares.
    let mut parts = vec![T::zero(); 2 * rows * width];
    let to = Shared::of(&mut parts);
    chunks(&tiles, 1).each_at_least(g.tiles_of_task(&tiles), |_, tile| {
        let (row, left, rect) = tile[0];
        // SAFETY: each tile has a place of its own.
        let [mean, squares] = [0, 1].map(|c| unsafe { to.part((2 * row + c) * width + left, rect.n) });
        with_vectors(columns::Moments { x, rect, unit: &unit[left..][..rect.n], centred: g.centred, mean, squares });
    });
    let of_column = |j: usize| {
        let part = |row: usize| {
            let [mean, squares] = [0, 1].map(|c| parts[(2 * row + c) * width + j].to_f64());
            Moments { count: ROWS.min(g.samples - row * ROWS) as f64, mean, squares }
        };
        Moments::joined((0..rows).map(part))
    };
    let least = if g.is_small() { g.channels.max(1) } else { TASK.div_ceil((g.inner * rows).max(1)) };
    (0..g.channels).map_at_least(least, |_, c| Moments::joined((c * g.inner..(c + 1) * g.inner).map(of_column)))
}

fn column_statistics<T: Lanes>(g: &Geometry, x: &[T], eps: f64, to: Statistics<'_, T>) {
    let moments = of_channels(g, x, &vec![T::one(); g.channels]);
    let is_lost: Vec<bool> = moments.iter().map(|m| moments::is_lost::<T>(m, eps)).collect();
    let mut units = vec![T::one(); g.channels];
    for c in (0..g.channels).filter(|&c| is_lost[c]) {
        units[c] = moments::unit_for(moments::largest(x, g.rect(c)));
    }
    let again = if is_lost.contains(&true) { of_channels(g, x, &units) } else { Vec::new() };
    to.parts().each_at_least(g.channels.max(1), |c, to| {
        keep(if is_lost[c] { Found::in_units(&again[c], eps, units[c]) } else { Found::of(&moments[c], eps) }, to);
    });
}

/// The numbers of each column of a batch: means, scales and units.
pub(super) fn of_columns<T: Lanes>(g: &Geometry, scaling: &[T]) -> [Vec<T>; 3] {
    [0, 1, 2].map(|i| scaling.chunks_exact(3).flat_map(|s| std::iter::repeat_n(s[i], g.inner)).collect())
}

fn by_columns<T: Lanes>(g: &Geometry, x: &[T], affine: Affine<'_, T>, scaling: &[T], out: &mut [T]) {
    let [mean, mut scale, unit] = of_columns(g, scaling);
    scale.iter_mut().zip(&*spread(affine.weight, g.inner)).for_each(|(s, &w)| *s *= w);
    let (bias, y, tiles) = (spread(affine.bias, g.inner), Shared::of(out), g.tiles());
    chunks(&tiles, 1).each_at_least(g.tiles_of_task(&tiles), |_, tile| {
        let (_, left, rect) = tile[0];
        let by = columns::By { mean: &mean, scale: &scale, unit: &unit }.part(left, rect.n);
        with_vectors(columns::Apply { x, out: y, rect, by, bias: &bias[left..][..rect.n] });
    });
}
