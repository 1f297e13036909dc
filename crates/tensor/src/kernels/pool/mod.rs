//! Pooling over contiguous planes: `[N·C, H, W]` slices.
//!
//! Windows are not walked one by one: a vector of outputs, or a whole row, takes in one tap of its windows at a time.

mod rows;

use super::parallel::{Parts, chunks, chunks_mut};
use super::simd::{Kernel, Lanes, Vector, VectorKernel, dispatch, with_vectors};
use crate::scalar::Scalar;
use rows::{Rows, put};

/// The sizes of a pooling.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub height: usize,
    pub width: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Before the first row, before the first column.
    pub padding: [usize; 2],
    /// After the last row, after the last column: where padding counts, it ends there.
    pub padding_end: [usize; 2],
    pub out_height: usize,
    pub out_width: usize,
    pub count_include_pad: bool,
}

/// What the window at one output covers along an axis.
#[derive(Clone, Copy)]
struct Window {
    first: usize,
    /// Elements in the padding before the first one inside the picture.
    skipped: usize,
    count: usize,
    /// `count`, and the elements that lie in the padding.
    padded: usize,
}

/// The outputs `lo..hi` along a row for which one tap of the window is inside the picture, and its column at `lo`.
#[derive(Clone, Copy)]
struct Tap {
    lo: usize,
    hi: usize,
    first: usize,
}

impl Geometry {
    pub fn plane(&self) -> usize {
        self.height * self.width
    }
    pub fn out_plane(&self) -> usize {
        self.out_height * self.out_width
    }
    /// Whether each window has an element inside the picture along `axis`. No window begins behind the picture, and one
    /// that begins inside sees its first element, so only those that begin before it are looked at.
    pub fn sees_pixels(&self, axis: usize) -> bool {
        let before = self.padding[axis].div_ceil(self.stride[axis]).min([self.out_height, self.out_width][axis]);
        self.dilation[axis] == 1 || (0..before).all(|i| self.window(axis, i).count > 0)
    }
    fn is_halving(&self) -> bool {
        self.kernel == [2, 2]
            && self.stride == [2, 2]
            && self.dilation == [1, 1]
            && self.padding == [0, 0]
            && self.out_height * 2 <= self.height
            && self.out_width * 2 <= self.width
    }
    fn window(&self, axis: usize, out: usize) -> Window {
        let size = [self.height, self.width][axis] as isize;
        let (step, reach) = (self.dilation[axis] as isize, self.kernel[axis] as isize);
        let start = (out * self.stride[axis]) as isize - self.padding[axis] as isize;
        let skipped = if start < 0 { (-start + step - 1) / step } else { 0 };
        let end = (size - start + step - 1).div_euclid(step).clamp(0, reach);
        let padded = (size + self.padding_end[axis] as isize - start + step - 1).div_euclid(step).clamp(0, reach);
        let count = (end - skipped).max(0) as usize;
        Window { first: (start + skipped * step).max(0) as usize, skipped: skipped as usize, count, padded: padded as usize }
    }
    fn windows(&self, axis: usize) -> Vec<Window> {
        (0..[self.out_height, self.out_width][axis]).map(|i| self.window(axis, i)).collect()
    }
    /// The taps of a window's row that meet a pixel at any output, in their order: no more than there are pixels for each
    /// output, however wide the window.
    fn taps(&self) -> Vec<Tap> {
        let (stride, out) = (self.stride[1] as isize, self.out_width as isize);
        let tap = |t: usize| {
            let shift = (t * self.dilation[1]) as isize - self.padding[1] as isize;
            let hi = (self.width as isize - shift + stride - 1).div_euclid(stride).clamp(0, out);
            let lo = ((-shift).max(0) + stride - 1).div_euclid(stride).min(hi);
            Tap { lo: lo as usize, hi: hi as usize, first: (lo * stride + shift).max(0) as usize }
        };
        let (mut taps, mut next) = (vec![], 0);
        // The further on an output, the earlier the taps inside the picture.
        for window in self.windows(1).into_iter().rev() {
            let end = window.skipped + window.count;
            taps.extend((next.max(window.skipped)..end).map(tap));
            next = next.max(end);
        }
        taps
    }
    /// Where the rows of the windows at output row `i` begin in a plane.
    fn rows(&self, w: Window) -> impl Iterator<Item = usize> + use<> {
        let (step, width) = (self.dilation[0], self.width);
        (0..w.count).map(move |r| (w.first + r * step) * width)
    }
}

/// Planes that make a task: one alone may be less than a microsecond.
fn planes_a_task(plane: usize, out_plane: usize) -> usize {
    ((1 << 14) / plane.max(out_plane).max(1)).max(1)
}

/// Evaluates `$body` with `$values` an iterator over every `$stride`-th element of `$x`, for the `$n` outputs in `$range`.
/// The common strides are spelt out, as loads of a known stride vectorise.
macro_rules! for_strided {
    ($x:expr, $n:expr, $stride:expr, |$range:ident, $values:ident| $body:expr) => {
        match $stride {
            1 => {
                let ($range, $values) = (0..$n, $x.iter().copied());
                $body
            }
            2 => {
                let (pairs, _) = $x.as_chunks::<2>();
                let whole = pairs.len().min($n);
                {
                    let ($range, $values) = (0..whole, pairs.iter().map(|p| p[0]));
                    $body
                }
                if whole < $n {
                    let ($range, $values) = (whole..$n, std::iter::once($x[2 * whole]));
                    $body
                }
            }
            stride => {
                let ($range, $values) = (0..$n, $x.iter().copied().step_by(stride));
                $body
            }
        }
    };
}

/// The largest of each window, and its place in the input plane; of equals the first, and NaN before any number.
pub fn max<T: Lanes>(g: &Geometry, x: &[T], y: &mut [T], index: &mut [i32]) {
    if y.is_empty() {
        return;
    }
    let (rows, cols, taps) = (g.windows(0), g.windows(1), g.taps());
    let planes = planes_a_task(g.plane(), g.out_plane());
    let (n, m) = (g.plane() * planes, g.out_plane() * planes);
    // Places are counted in lanes of T, which must tell all of them apart.
    let counts = (g.plane() as f64) < 1.0 / T::EPSILON.to_f64();
    (chunks(x, n), chunks_mut(y, m), chunks_mut(index, m)).each(|_, (x, y, index)| {
        if counts && !g.is_halving() {
            return with_vectors(Maxima { g, rows: &rows, cols: &cols, taps: &taps, x, y, index });
        }
        for ((x, y), index) in x.chunks(g.plane()).zip(y.chunks_mut(g.out_plane())).zip(index.chunks_mut(g.out_plane())) {
            if g.is_halving() {
                dispatch(Halve { g, x, y, index });
            } else {
                dispatch(Max { g, rows: &rows, cols: &cols, taps: &taps, x, y, index });
            }
        }
    });
}

/// The maxima of some planes, a vector of outputs at a time.
struct Maxima<'a, T> {
    g: &'a Geometry,
    rows: &'a [Window],
    cols: &'a [Window],
    taps: &'a [Tap],
    x: &'a [T],
    y: &'a mut [T],
    index: &'a mut [i32],
}

impl<T: Lanes> VectorKernel<T> for Maxima<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, rows, cols, taps, x, y, index } = self;
        let n = g.out_width;
        // SAFETY: the caller's promise; rows of windows lie inside the picture.
        unsafe {
            let seen = Rows::new::<T, V>(g, taps);
            let mut firsts: Vec<T> = cols.iter().map(|w| T::from_f64(w.first as f64)).collect();
            firsts.resize(n.next_multiple_of(V::LANES), T::zero());
            let steps: [T; 16] = std::array::from_fn(|l| T::from_f64(l as f64 * g.stride[1] as f64));
            let (steps, lowest) = (V::load(steps.as_ptr()), V::splat(T::LOWEST));
            for (i, (y, index)) in y.chunks_exact_mut(n).zip(index.chunks_exact_mut(n)).enumerate() {
                let (window, x) = (rows[i % rows.len()], &x[i / rows.len() * g.plane()..][..g.plane()]);
                let corner = window.first * g.width;
                for vector in 0..n.div_ceil(V::LANES) {
                    // Nothing is larger than minus infinity but what replaces it; otherwise the first element it is. Places are counted
                    // from the first row on.
                    let (mut best, mut place) = (lowest, V::load(firsts.as_ptr().add(vector * V::LANES)));
                    for row in g.rows(window) {
                        seen.look::<T, V>(x[row..][..g.width].as_ptr(), vector, lowest, |column, v| {
                            let at = (row - corner) as isize + column;
                            let larger = v.exceeds(best);
                            best = v.select(larger, best);
                            place = V::splat(T::from_f64(at as f64)).add(steps).select(larger, place);
                        });
                    }
                    put(best, y, vector);
                    put_places::<T, V>(place, corner as i32, &mut index[vector * V::LANES..]);
                }
            }
        }
    }
}

/// Writes places as whole numbers, `corner` further on, as far as there are any.
///
/// # Safety
/// The processor must have V's instructions, and all lanes be whole numbers of `i32`.
#[inline(always)]
unsafe fn put_places<T: Scalar, V: Vector<T>>(place: V, corner: i32, index: &mut [i32]) {
    let mut places = [T::zero(); 16];
    // SAFETY: the caller's promise.
    unsafe { place.store(places.as_mut_ptr()) };
    // SAFETY: as above. A checked conversion takes as long as the maxima.
    let whole = |v: T| corner + unsafe { v.to_f64().to_int_unchecked::<i32>() };
    if index.len() >= V::LANES {
        index[..V::LANES].iter_mut().zip(&places[..V::LANES]).for_each(|(i, &v)| *i = whole(v));
    } else {
        index.iter_mut().zip(places).for_each(|(i, v)| *i = whole(v));
    }
}

/// The maxima of a plane, a row of outputs at a time.
struct Max<'a, T> {
    g: &'a Geometry,
    rows: &'a [Window],
    cols: &'a [Window],
    taps: &'a [Tap],
    x: &'a [T],
    y: &'a mut [T],
    index: &'a mut [i32],
}

impl<T: Scalar> Kernel for Max<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { g, rows, cols, taps, x, y, index } = self;
        let (n, stride) = (g.out_width, g.stride[1]);
        for ((w, y), index) in rows.iter().zip(y.chunks_exact_mut(n)).zip(index.chunks_exact_mut(n)) {
            // Nothing is larger than minus infinity but what replaces it; otherwise the first element it is.
            y.fill(T::LOWEST);
            let corner = w.first * g.width;
            index.iter_mut().zip(cols).for_each(|(i, c)| *i = (corner + c.first) as i32);
            for row in g.rows(*w) {
                for tap in taps {
                    let (x, n) = (&x[row + tap.first..], tap.hi - tap.lo);
                    let (y, index) = (&mut y[tap.lo..tap.hi], &mut index[tap.lo..tap.hi]);
                    for_strided!(x, n, stride, |range, values| {
                        let at = (row + tap.first + range.start * stride) as i32;
                        let best = y[range.clone()].iter_mut().zip(&mut index[range]);
                        for (((y, index), v), j) in best.zip(values).zip(0i32..) {
                            let take = larger(v, *y);
                            *y = if take { v } else { *y };
                            *index = if take { at + j * stride as i32 } else { *index };
                        }
                    });
                }
            }
        }
    }
}

/// Windows of 2x2 side by side: comparisons and selections only, which vectorise.
struct Halve<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    y: &'a mut [T],
    index: &'a mut [i32],
}

impl<T: Scalar> Kernel for Halve<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { g, x, y, index } = self;
        let n = g.out_width;
        for ((i, y), index) in y.chunks_exact_mut(n).enumerate().zip(index.chunks_exact_mut(n)) {
            let first = 2 * i * g.width;
            let upper = x[first..first + 2 * n].as_chunks::<2>().0;
            let lower = x[first + g.width..first + g.width + 2 * n].as_chunks::<2>().0;
            let corner = first as i32;
            for ((((u, l), y), index), j) in upper.iter().zip(lower).zip(y).zip(index).zip(0i32..) {
                let (a, ia) = first_larger(u[0], 0, u[1], 1);
                let (b, ib) = first_larger(l[0], g.width as i32, l[1], g.width as i32 + 1);
                let (m, im) = first_larger(a, ia, b, ib);
                *y = m;
                *index = corner + 2 * j + im;
            }
        }
    }
}

/// Whether `a` takes the place of an earlier `b`: any NaN does, and keeps it.
#[inline(always)]
fn larger<T: Scalar>(a: T, b: T) -> bool {
    ((a > b) | a.is_nan()) & !b.is_nan()
}

#[inline(always)]
fn first_larger<T: Scalar>(a: T, ia: i32, b: T, ib: i32) -> (T, i32) {
    let second = larger(b, a);
    (if second { b } else { a }, if second { ib } else { ia })
}

/// Adds `gy` to zeros at `index`; the error is an index outside the plane.
pub fn scatter<T: Scalar>(plane: usize, out_plane: usize, gy: &[T], index: &[i32], gx: &mut [T]) -> Result<(), i32> {
    if gy.is_empty() {
        gx.fill(T::zero());
        return Ok(());
    }
    if plane == 0 {
        return Err(index[0]);
    }
    let planes = planes_a_task(plane, out_plane);
    let (n, m) = (plane * planes, out_plane * planes);
    let found = (chunks_mut(gx, n), chunks(gy, m), chunks(index, m)).map_at_least(1, |_, (gx, gy, index)| {
        for ((gx, gy), index) in gx.chunks_mut(plane).zip(gy.chunks(out_plane)).zip(index.chunks(out_plane)) {
            gx.fill(T::zero());
            for (&v, &i) in gy.iter().zip(index) {
                *gx.get_mut(i as usize).ok_or(i)? += v;
            }
        }
        Ok(())
    });
    found.into_iter().collect()
}

/// Picks `x` at `index`; the error is an index outside the plane.
pub fn gather<T: Scalar>(plane: usize, out_plane: usize, x: &[T], index: &[i32], y: &mut [T]) -> Result<(), i32> {
    if y.is_empty() {
        return Ok(());
    }
    if plane == 0 {
        return Err(index[0]);
    }
    let planes = planes_a_task(plane, out_plane);
    let (n, m) = (plane * planes, out_plane * planes);
    let found = (chunks_mut(y, m), chunks(x, n), chunks(index, m)).map_at_least(1, |_, (y, x, index)| {
        for ((y, x), index) in y.chunks_mut(out_plane).zip(x.chunks(plane)).zip(index.chunks(out_plane)) {
            for (y, &i) in y.iter_mut().zip(index) {
                *y = *x.get(i as usize).ok_or(i)?;
            }
        }
        Ok(())
    });
    found.into_iter().collect()
}

/// What an average over a plane needs besides the geometry: its windows, and how many elements the sum of a window is
/// divided by, for a whole plane of outputs.
struct Average<T> {
    rows: Vec<Window>,
    taps: Vec<Tap>,
    divisors: Vec<T>,
}

impl<T: Scalar> Average<T> {
    fn new(g: &Geometry) -> Self {
        let (rows, cols) = (g.windows(0), g.windows(1));
        let size = |w: &Window| if g.count_include_pad { w.padded } else { w.count };
        let divisors = rows.iter().flat_map(|r| cols.iter().map(move |c| T::from_f64(size(r) as f64 * size(c) as f64)));
        Self { divisors: divisors.collect(), taps: g.taps(), rows }
    }
}

/// The means of some planes.
struct Mean<'a, T>(&'a Geometry, &'a Average<T>, &'a [T], &'a mut [T]);

impl<T: Lanes> VectorKernel<T> for Mean<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self(g, Average { rows, taps, divisors }, x, y) = self;
        // SAFETY: the caller's promise; rows of windows lie inside the picture.
        unsafe {
            let (seen, zero) = (Rows::new::<T, V>(g, taps), V::splat(T::zero()));
            for (i, y) in y.chunks_exact_mut(g.out_width).enumerate() {
                let x = &x[i / rows.len() * g.plane()..][..g.plane()];
                for vector in 0..g.out_width.div_ceil(V::LANES) {
                    let mut sum = zero;
                    for row in g.rows(rows[i % rows.len()]) {
                        seen.look::<T, V>(x[row..][..g.width].as_ptr(), vector, zero, |_, v| sum = sum.add(v));
                    }
                    put(sum, y, vector);
                }
                let divisors = &divisors[i % rows.len() * g.out_width..];
                y.iter_mut().zip(divisors).for_each(|(y, &d)| *y /= d);
            }
        }
    }
}

struct MeanGrad<'a, T> {
    g: &'a Geometry,
    plan: &'a Average<T>,
    gy: &'a [T],
    gx: &'a mut [T],
    /// A row of `gy`, divided.
    shares: &'a mut [T],
}

impl<T: Scalar> Kernel for MeanGrad<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { g, plan, gy, gx, shares } = self;
        let n = g.out_width;
        gx.fill(T::zero());
        for ((w, gy), divisors) in plan.rows.iter().zip(gy.chunks_exact(n)).zip(plan.divisors.chunks_exact(n)) {
            shares.iter_mut().zip(gy).zip(divisors).for_each(|((s, &v), &d)| *s = v / d);
            for row in g.rows(*w) {
                for tap in &plan.taps {
                    let (to, from) = (&mut gx[row + tap.first..], &shares[tap.lo..tap.hi]);
                    match g.stride[1] {
                        1 => to.iter_mut().zip(from).for_each(|(x, &s)| *x += s),
                        stride => to.iter_mut().step_by(stride).zip(from).for_each(|(x, &s)| *x += s),
                    }
                }
            }
        }
    }
}

/// The mean of each window.
pub fn average<T: Lanes>(g: &Geometry, x: &[T], y: &mut [T]) {
    if y.is_empty() {
        return;
    }
    let plan = Average::new(g);
    let planes = planes_a_task(g.plane(), g.out_plane());
    (chunks_mut(y, g.out_plane() * planes), chunks(x, g.plane() * planes)).each(|_, (y, x)| {
        with_vectors(Mean(g, &plan, x, y));
    });
}

/// The adjoint of [`average`].
pub fn average_grad<T: Scalar>(g: &Geometry, gy: &[T], gx: &mut [T]) {
    if gx.is_empty() {
        return;
    }
    let plan = Average::new(g);
    let planes = planes_a_task(g.plane(), g.out_plane());
    (chunks_mut(gx, g.plane() * planes), chunks(gy, g.out_plane() * planes)).each(|_, (gx, gy)| {
        let mut shares = vec![T::zero(); g.out_width];
        for (gx, gy) in gx.chunks_mut(g.plane()).zip(gy.chunks(g.out_plane())) {
            dispatch(MeanGrad { g, plan: &plan, gy, gx, shares: &mut shares });
        }
    });
}
