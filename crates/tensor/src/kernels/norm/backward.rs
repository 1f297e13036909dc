//! Gradients: sums of that of the result, and what they make of each element.
//!
//! With `y` for the normalised `x` and `g = gy · weight`, `dx = (g - mean(g) - y mean(g y)) · scale · unit`, where the means are those of
//! a statistic's elements; without a mean in the statistics the first of them is not there.

use super::columns::{self, By};
use super::forward::{of_columns, spread};
use super::geometry::{BLOCK, Form, Geometry, Rect, TASK};
use super::moments::Scaling;
use super::planes::{self, Line, PerRow};
use super::rows;
use crate::kernels::parallel::{Parts, chunks, chunks_mut, items};
use crate::kernels::shared::Shared;
use crate::kernels::simd::{Lanes, with_vectors};

/// What the gradient reads.
#[derive(Clone, Copy)]
pub struct Given<'a, T> {
    pub x: &'a [T],
    pub gy: &'a [T],
    /// `[channels]`.
    pub weight: &'a [T],
    pub scaling: &'a [T],
}

/// Where it goes: for the elements, and for weight and bias `[channels]`.
pub struct Gradients<'a, T> {
    pub x: &'a mut [T],
    pub weight: &'a mut [T],
    pub bias: &'a mut [T],
}

/// The line for a statistic's elements, from `Σ g` and `Σ g y`.
fn line<T: Lanes>(g: &Geometry, by: Scaling<T>, [sum, along]: [f64; 2]) -> Line<T> {
    let (count, factor) = (g.count() as f64, by.scale * by.unit);
    let slope = -T::from_f64(along / count) * by.scale * factor;
    let shift = if g.centred { -T::from_f64(sum / count) } else { T::zero() };
    Line { factor, slope, shift }
}

/// The gradients of `forward`.
pub fn backward<T: Lanes>(g: &Geometry, given: Given<'_, T>, to: Gradients<'_, T>) {
    let n = g.numel();
    assert!([given.x.len(), given.gy.len(), to.x.len()] == [n; 3] && given.scaling.len() == 3 * g.statistics());
    assert!([given.weight.len(), to.weight.len(), to.bias.len()] == [g.channels; 3]);
    if n == 0 {
        to.weight.fill(T::zero());
        return to.bias.fill(T::zero());
    }
    match g.form() {
        Form::Planes => of_planes(g, given, to),
        Form::Rows => of_rows(g, given, to),
        Form::Columns => of_columns_of_batch(g, given, to),
    }
}

/// `Σ gy` and `Σ gy y` of the planes of `rect`, `[1]` or, `of_each`, `[rows]`.
fn plane_sums<T: Lanes>(given: Given<'_, T>, rect: Rect, by: Scaling<T>, of_each: bool, sums: &mut [[f64; 2]]) {
    sums.fill([0.0; 2]);
    for (first, rect) in rect.blocks(BLOCK) {
        let sums = if of_each { &mut sums[first..first + rect.rows] } else { &mut *sums };
        with_vectors(planes::Sums { x: given.x, gy: given.gy, rect, by, of_each, sums });
    }
}

fn plane_gradient<T: Lanes>(
    given: Given<'_, T>,
    out: Shared<T>,
    rect: Rect,
    by: Scaling<T>,
    line: Line<T>,
    weight: PerRow<'_, T>,
) {
    with_vectors(planes::Gradient { x: given.x, gy: given.gy, out, rect, by, weight, line });
}

fn of_planes<T: Lanes>(g: &Geometry, given: Given<'_, T>, to: Gradients<'_, T>) {
    let dx = Shared::of(to.x);
    let of_each = g.groups.is_some();
    let step = usize::from(of_each);
    // Of each plane, or of each channel.
    let per = if of_each { g.channels_of(0).len() } else { 1 };
    let mut sums = vec![[0.0; 2]; g.statistics() * per];
    let by = |s: usize| Scaling::read(given.scaling, s);
    let weight = |s: usize, first: usize| PerRow { values: &given.weight[g.channels_of(s).start + first * step..], step };
    let line_of = |s: usize, sums: &[[f64; 2]]| {
        let weighted = sums.iter().zip(&given.weight[g.channels_of(s)]).map(|(s, &w)| s.map(|s| s * w.to_f64()));
        line(g, by(s), weighted.fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]))
    };
    if g.has_many() {
        chunks_mut(&mut sums, per).each_at_least(g.per_task(), |s, sums| {
            plane_sums(given, g.rect(s), by(s), of_each, sums);
            plane_gradient(given, dx, g.rect(s), by(s), line_of(s, sums), weight(s, 0));
        });
    } else {
        let blocks = g.blocks(TASK);
        let found = chunks(&blocks, 1).map_at_least(1, |_, block| {
            let (s, _, rect) = block[0];
            let mut sums = vec![[0.0; 2]; if of_each { rect.rows } else { 1 }];
            plane_sums(given, rect, by(s), of_each, &mut sums);
            sums
        });
        for (&(s, first, _), found) in blocks.iter().zip(found) {
            for (sum, found) in sums[s * per + if of_each { first } else { 0 }..].iter_mut().zip(found) {
                *sum = [sum[0] + found[0], sum[1] + found[1]];
            }
        }
        let lines: Vec<_> = sums.chunks(per).enumerate().map(|(s, sums)| line_of(s, sums)).collect();
        items(blocks).each(|_, (s, first, rect)| plane_gradient(given, dx, rect, by(s), lines[s], weight(s, first)));
    }
    of_parameters(g, &sums, to.weight, to.bias);
}

/// Weight and bias have the sums of their channel's, in all samples.
fn of_parameters<T: Lanes>(g: &Geometry, sums: &[[f64; 2]], weight: &mut [T], bias: &mut [T]) {
    let mut totals = vec![[0.0; 2]; g.channels];
    for of_sample in sums.chunks(g.channels.max(1)) {
        totals.iter_mut().zip(of_sample).for_each(|(total, sum)| *total = [total[0] + sum[0], total[1] + sum[1]]);
    }
    for ((weight, bias), [sum, along]) in weight.iter_mut().zip(bias).zip(totals) {
        (*weight, *bias) = (T::from_f64(along), T::from_f64(sum));
    }
}

/// Columns of a row that a task takes, where rows are long.
const PIECE: usize = 1 << 13;

fn of_rows<T: Lanes>(g: &Geometry, given: Given<'_, T>, to: Gradients<'_, T>) {
    let (n, width) = (g.count(), g.sample());
    let weights = spread(given.weight, g.inner);
    // So many samples that the sums for weight and bias are few beside the elements.
    let samples = if g.is_small() { g.samples } else { (4 * TASK / width).clamp(1, 64) };
    let groups = width / n;
    let piece = PIECE.min(n);
    // A task's samples, and columns: all of them, or where rows are long a piece of one row's.
    let columns: Vec<(usize, usize)> = match n > PIECE {
        true => {
            (0..groups).flat_map(|group| (0..n).step_by(piece).map(move |left| (group * n + left, piece.min(n - left)))).collect()
        }
        false => vec![(0, width)],
    };
    let tasks = g.samples.div_ceil(samples);
    let mut parts = vec![T::zero(); tasks * 2 * width];
    let (parts_of, dx) = (Shared::of(&mut parts), Shared::of(to.x));
    // Of each row's pieces the two sums.
    let pieces = n.div_ceil(piece);
    let mut sums = vec![[T::zero(); 2]; if pieces > 1 { g.statistics() * pieces } else { 0 }];
    let sums_of = Shared::of(&mut sums);
    let row = |s: usize, left: usize, len: usize| {
        let at = s * n + left;
        let weight = &weights[s % groups * n + left..][..len];
        (&given.x[at..][..len], &given.gy[at..][..len], weight, at, Scaling::read(given.scaling, s))
    };
    let gradient = |s: usize, left: usize, len: usize, sums: [f64; 2]| {
        let (x, gy, weight, at, by) = row(s, left, len);
        // SAFETY: each piece of a row belongs to one task.
        let out = unsafe { dx.part(at, len) };
        with_vectors(rows::Gradient { x, gy, weight, out, by, line: line(g, by, sums) });
    };
    (0..tasks * columns.len()).each(|_, task| {
        let (task, (first, len)) = (task / columns.len(), columns[task % columns.len()]);
        // SAFETY: each task has its own columns of its own sums.
        let [dw, db] = [0, 1].map(|c| unsafe { parts_of.part((2 * task + c) * width + first, len) });
        for sample in task * samples..g.samples.min((task + 1) * samples) {
            for (group, left, len, at) in
                (0..len).step_by(piece).map(|at| ((first + at) / n, (first + at) % n, piece.min(len - at), at))
            {
                let s = sample * groups + group;
                let (x, gy, weight, _, by) = row(s, left, len);
                let own = at..at + len;
                let found = with_vectors(rows::Sums { x, gy, weight, by, weights: &mut dw[own.clone()], biases: &mut db[own] });
                if pieces == 1 {
                    gradient(s, left, len, found.map(|v| v.to_f64()));
                } else {
                    // SAFETY: this piece is this task's.
                    unsafe { sums_of.part(s * pieces + left / piece, 1)[0] = found }
                }
            }
        }
    });
    if pieces > 1 {
        (0..sums.len()).each(|_, i| {
            let (s, left) = (i / pieces, i % pieces * piece);
            let all = sums[s * pieces..][..pieces].iter().map(|found| found.map(|v| v.to_f64()));
            gradient(s, left, piece.min(n - left), all.fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]));
        });
    }
    let total = |c: usize, channel: usize| {
        let of_task = |task: usize| {
            parts[(2 * task + c) * width..][channel * g.inner..][..g.inner].iter().map(|&v| v.to_f64()).sum::<f64>()
        };
        T::from_f64((0..tasks).map(of_task).sum())
    };
    let least = TASK.div_ceil(2 * tasks * g.inner);
    (chunks_mut(to.weight, 1), chunks_mut(to.bias, 1)).each_at_least(least, |channel, (weight, bias)| {
        (weight[0], bias[0]) = (total(0, channel), total(1, channel));
    });
}

/// `Σ gy` and `Σ gy y` of each channel of a batch, by columns.
fn channel_sums<T: Lanes>(g: &Geometry, given: Given<'_, T>, by: By<'_, T>) -> Vec<[f64; 2]> {
    let (width, tiles) = (g.sample(), g.tiles());
    let rows = tiles.last().map_or(0, |tile| tile.0 + 1);
    let mut parts = vec![T::zero(); 2 * rows * width];
    let to = Shared::of(&mut parts);
    chunks(&tiles, 1).each_at_least(g.tiles_of_task(&tiles), |_, tile| {
        let (row, left, rect) = tile[0];
        // SAFETY: each tile has a place of its own.
        let [biases, weights] = [0, 1].map(|c| unsafe { to.part((2 * row + c) * width + left, rect.n) });
        with_vectors(columns::Sums { x: given.x, gy: given.gy, rect, by: by.part(left, rect.n), biases, weights });
    });
    let least = if g.is_small() { g.channels.max(1) } else { TASK.div_ceil((g.inner * rows).max(1)) };
    (0..g.channels).map_at_least(least, |_, channel| {
        [0, 1].map(|c| {
            let of_row = |row: usize| {
                parts[(2 * row + c) * width..][channel * g.inner..][..g.inner].iter().map(|&v| v.to_f64()).sum::<f64>()
            };
            (0..rows).map(of_row).sum()
        })
    })
}

fn of_columns_of_batch<T: Lanes>(g: &Geometry, given: Given<'_, T>, to: Gradients<'_, T>) {
    let [mean, scale, unit] = of_columns(g, given.scaling);
    let sums = channel_sums(g, given, By { mean: &mean, scale: &scale, unit: &unit });
    of_parameters(g, &sums, to.weight, to.bias);
    let line_of = |c: usize| {
        let w = given.weight[c];
        let [sum, along] = sums[c];
        let Line { factor, slope, shift } = line(g, Scaling::read(given.scaling, c), [sum, along * w.to_f64()]);
        [factor * w, slope, shift]
    };
    let lines: Vec<[T; 3]> = (0..g.channels).map(line_of).collect();
    let [factor, slope, shift] = [0, 1, 2].map(|i| spread(&lines.iter().map(|l| l[i]).collect::<Vec<_>>(), g.inner).into_owned());
    let (dx, tiles) = (Shared::of(to.x), g.tiles());
    chunks(&tiles, 1).each_at_least(g.tiles_of_task(&tiles), |_, tile| {
        let (_, left, rect) = tile[0];
        let by = By { mean: &mean, scale: &slope, unit: &unit }.part(left, rect.n);
        let [factor, shift] = [&factor, &shift].map(|all| &all[left..][..rect.n]);
        with_vectors(columns::Gradient { x: given.x, gy: given.gy, out: dx, rect, by, factor, shift });
    });
}

/// The gradients of weight and bias of `by_scaling`.
pub fn backward_by_scaling<T: Lanes>(g: &Geometry, given: Given<'_, T>, weight: &mut [T], bias: &mut [T]) {
    assert!(g.groups.is_none() && given.x.len() == g.numel() && given.gy.len() == given.x.len());
    let sums = if given.x.is_empty() {
        Vec::new()
    } else if g.form() == Form::Columns {
        let [mean, scale, unit] = of_columns(g, given.scaling);
        channel_sums(g, given, By { mean: &mean, scale: &scale, unit: &unit })
    } else {
        let blocks = g.blocks(TASK);
        let least = if g.is_small() { blocks.len().max(1) } else { 1 };
        let found = chunks(&blocks, 1).map_at_least(least, |_, block| {
            let (c, _, rect) = block[0];
            let mut sums = [[0.0; 2]];
            plane_sums(given, rect, Scaling::read(given.scaling, c), false, &mut sums);
            (c, sums[0])
        });
        let mut sums = vec![[0.0; 2]; g.channels];
        found.into_iter().for_each(|(c, found)| sums[c] = [sums[c][0] + found[0], sums[c][1] + found[1]]);
        sums
    };
    of_parameters(g, &sums, weight, bias);
}
