//! Pooling over 1, 2 and 3 axes by that over 2: a sequence is a picture of one row, and a volume is pooled along height and
//! width first, then along its depth. Maxima and means of boxes are so of lines of rectangles, and of equal maxima the first
//! in row-major order stays the first.

use crate::refuse::refuse;
use gradus_autograd::Var;
use gradus_tensor::{Float, Pool2dOptions, PoolOptions, Tensor, pool2d_shape};

/// The options along these two of the axes; one that there is not has one place.
fn plane<const N: usize>(o: &PoolOptions<N>, axes: [Option<usize>; 2]) -> Pool2dOptions {
    let of = |v: &[usize; N]| axes.map(|axis| axis.map_or(1, |a| v[a]));
    Pool2dOptions {
        kernel: of(&o.kernel),
        stride: of(&o.stride),
        padding: axes.map(|axis| axis.map_or([0, 0], |a| o.padding[a])),
        dilation: of(&o.dilation),
        ceil_mode: o.ceil_mode,
        count_include_pad: o.count_include_pad,
    }
}

/// The steps that make the whole: first along the last two axes, then along the depth.
fn steps<const N: usize>(o: &PoolOptions<N>) -> (Pool2dOptions, Option<Pool2dOptions>) {
    let depth = (N == 3).then(|| plane(o, [Some(0), None]));
    (plane(o, [N.checked_sub(2), Some(N - 1)]), depth)
}

/// `[N, C, .., H, W]` with all but the last two axes in two; a sequence as a row.
#[track_caller]
fn rows<T: Float>(x: &Var<T>) -> Var<T> {
    let s = x.shape();
    match s[..] {
        [_, _, _] => x.unsqueeze(2),
        [n, c, d, h, w] => x.reshape([n, c * d, h, w]),
        _ => x.clone(),
    }
}

/// Undoes [`rows`] on what was made of the rows of an input of this shape.
#[track_caller]
fn unrows<T: Float>(y: Var<T>, input: &[usize]) -> Var<T> {
    match *input {
        [_, _, _] => y.squeeze(2),
        [n, c, d, _, _] => y.reshape([n, c, d, y.shape()[2], y.shape()[3]]),
        _ => y,
    }
}

/// `step` along the last two axes and then, if need be, along the depth.
#[track_caller]
fn pool<T: Float, const N: usize>(
    layer: &'static str,
    x: &Var<T>,
    options: &PoolOptions<N>,
    mut step: impl FnMut(&Var<T>, Pool2dOptions) -> Var<T>,
) -> Var<T> {
    let (plane, depth) = steps(options);
    let mut step = |rows: &Var<T>, o: Pool2dOptions| {
        if let Err(error) = pool2d_shape(rows.shape(), &o) {
            let why = error.detail().split_once("]: ").map_or(error.detail(), |(_, why)| why);
            return Err(format!("expected an input that the windows fit, got {}: {why}", x.shape()));
        }
        Ok(step(rows, o))
    };
    let y = step(&rows(x), plane).unwrap_or_else(|why| refuse(layer, why));
    let y = unrows(y, x.shape());
    let Some(depth) = depth else { return y };
    let &[n, c, d, h, w] = &y.shape()[..] else { unreachable!("a volume") };
    let y = step(&y.reshape([n, c, d, h * w]), depth).unwrap_or_else(|why| refuse(layer, why));
    y.reshape([n as isize, c as isize, -1, h as isize, w as isize])
}

/// The mean of each window.
#[track_caller]
pub(super) fn avg_pool<T: Float, const N: usize>(layer: &'static str, x: &Var<T>, options: &PoolOptions<N>) -> Var<T> {
    pool(layer, x, options, |x, o| x.avg_pool2d(o))
}

/// The largest of each window, and its place in row-major order of the `N` axes.
#[track_caller]
pub(super) fn max_pool<T: Float, const N: usize>(
    layer: &'static str,
    x: &Var<T>,
    options: &PoolOptions<N>,
) -> (Var<T>, Tensor<i32>) {
    let mut indices = Vec::with_capacity(2);
    let y = pool(layer, x, options, |x, o| {
        let (y, index) = x.max_pool2d_with_indices(o);
        indices.push(index);
        y
    });
    let index = match (indices.pop(), indices.pop()) {
        (Some(along_depth), Some(in_slice)) => of_volume(x.shape(), y.shape(), &in_slice, &along_depth),
        (Some(index), None) => index,
        _ => unreachable!("pooled once or twice"),
    };
    let index = index.reshape(y.shape());
    (y, index)
}

/// The places in a volume of maxima along the depth, whose slices' places are known.
fn of_volume(x: &[usize], y: &[usize], in_slice: &Tensor<i32>, along_depth: &Tensor<i32>) -> Tensor<i32> {
    let (slices, plane, size) = (x[2], y[3] * y[4], x[3] * x[4]);
    let (in_slice, along_depth) = (in_slice.to_vec(), along_depth.to_vec());
    let per_volume = (y[2] * plane).max(1);
    let place = |(i, &at): (usize, &i32)| {
        let at = at as usize;
        let depth = at / plane;
        (depth * size) as i32 + in_slice[i / per_volume * slices * plane + at]
    };
    Tensor::from_vec(along_depth.iter().enumerate().map(place).collect(), y)
}
