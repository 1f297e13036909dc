//! Convolution over 1, 2 and 3 axes by that over 2: a sequence is a picture of one row, and a volume's depth is folded into
//! the batch, the slices that a filter sees at once into the channels. No rule is written anew: all is made of
//! differentiable ops.

use crate::refuse::{axes, refuse, refuse_input_of};
use gradus_autograd::{Param, Var};
use gradus_tensor::{Conv2dOptions, ConvOptions, Float, OrPanic, Shape, window_reach};

/// The options along the last two axes; those that there are not have one place.
fn plane<const N: usize>(o: &ConvOptions<N>) -> Conv2dOptions {
    let last = |back: usize| N.checked_sub(back);
    let of = |v: &[usize; N]| [2, 1].map(|back| last(back).map_or(1, |a| v[a]));
    let padding = [2, 1].map(|back| last(back).map_or([0, 0], |a| o.padding[a]));
    Conv2dOptions { stride: of(&o.stride), padding, dilation: of(&o.dilation), groups: o.groups, algorithm: o.algorithm }
}

/// How many places the filters reach over along an axis.
#[track_caller]
fn reach<const N: usize>(op: &'static str, o: &ConvOptions<N>, axis: usize, kernel: usize) -> usize {
    window_reach(op, kernel, o.dilation[axis]).or_panic()
}

/// The stride along the depth as a step of a slice; one that is no step leads beyond all sizes.
fn depth_step<const N: usize>(o: &ConvOptions<N>) -> isize {
    isize::try_from(o.stride[0]).unwrap_or(isize::MAX)
}

/// An input with the filters' axes and channels, and no option of 0.
#[track_caller]
fn check_input<T: Float, const N: usize>(op: &'static str, x: &Var<T>, channels: usize, w: &Param<T>, o: &ConvOptions<N>) {
    if x.rank() != N + 2 || x.shape()[1] != channels {
        refuse_input_of(op, Some(w), axes(channels, N + 2), x);
    }
    let kernel = &w.shape()[2..];
    let ConvOptions { stride, dilation, .. } = o;
    if [kernel, stride, dilation].into_iter().flatten().any(|&n| n == 0) {
        refuse(op, format!("expected 1 or more each, got kernel {kernel:?}, stride {stride:?}, dilation {dilation:?}"));
    }
}

/// `max(y, 0)` of [`conv`] and a bias.
#[track_caller]
pub(super) fn conv_relu<T: Float, const N: usize>(
    op: &'static str,
    x: &Var<T>,
    w: &Param<T>,
    b: Option<&Var<T>>,
    o: ConvOptions<N>,
) -> Var<T> {
    if N > 2 {
        return with_bias(conv(op, x, w, o), b).relu();
    }
    check(op, x, w, &o);
    match N {
        1 => x.unsqueeze(2).conv2d_relu(&w.unsqueeze(2), b, plane(&o)).squeeze(2),
        _ => x.conv2d_relu(w, b, plane(&o)),
    }
}

/// `bias` of `[F]` on each channel of `y`.
#[track_caller]
pub(super) fn with_bias<T: Float>(y: Var<T>, bias: Option<&Var<T>>) -> Var<T> {
    let Some(bias) = bias else { return y };
    let each: Shape = (1..y.rank()).map(|a| if a == 1 { bias.shape()[0] } else { 1 }).collect();
    y + bias.reshape(&each)
}

/// That filters `w` fit the input `x`.
#[track_caller]
fn check<T: Float, const N: usize>(op: &'static str, x: &Var<T>, w: &Param<T>, o: &ConvOptions<N>) {
    let kernel = &w.shape()[2..];
    check_input(op, x, w.shape()[1] * o.groups, w, o);
    for (a, &size) in x.shape()[2..].iter().enumerate() {
        let (reach, padding) = (reach(op, o, a, kernel[a]), o.padding[a]);
        if size.saturating_add(padding[0]).saturating_add(padding[1]) < reach {
            let expected = format!("{reach} or more, the window's size, along axis {}", a + 2);
            refuse(op, format!("expected {expected}, got {size} and padding {padding:?} (input {})", x.shape()));
        }
    }
}

/// The convolution of `x`, `[N, C, ..]`, with filters `w`, `[F, C / groups, ..]`.
#[track_caller]
pub(super) fn conv<T: Float, const N: usize>(op: &'static str, x: &Var<T>, w: &Param<T>, o: ConvOptions<N>) -> Var<T> {
    let (filters, kernel) = (w.shape()[0], w.shape()[2..].to_vec());
    check(op, x, w, &o);
    match N {
        1 => x.unsqueeze(2).conv2d(&w.unsqueeze(2), plane(&o)).squeeze(2),
        2 => x.conv2d(w, plane(&o)),
        _ => {
            let y = unfold_depth(op, x, kernel[0], &o).conv2d(&fold_taps(w), plane(&o));
            let sizes = [x.shape()[0] as isize, -1, filters as isize, y.shape()[2] as isize, y.shape()[3] as isize];
            y.reshape(sizes).permute([0, 2, 1, 3, 4])
        }
    }
}

/// Filters of volumes as filters of pictures: `[F, C, KD, KH, KW]` to `[F, C · KD, KH, KW]`.
#[track_caller]
fn fold_taps<T: Float>(w: &Var<T>) -> Var<T> {
    let s = w.shape();
    w.reshape([s[0], s[1] * s[2], s[3], s[4]])
}

/// `[N, C, D, H, W]` to `[N · OD, C · KD, H, W]`: for each place of the filter along the depth, the slices that it sees.
#[track_caller]
fn unfold_depth<T: Float, const N: usize>(op: &'static str, x: &Var<T>, kernel: usize, o: &ConvOptions<N>) -> Var<T> {
    let (stride, dilation, padding) = (o.stride[0], o.dilation[0], o.padding[0]);
    let x = if padding == [0, 0] { x.clone() } else { x.pad(&[[0, 0], [0, 0], padding, [0, 0], [0, 0]], 0.0) };
    let &[n, c, depth, h, w] = &x.shape()[..] else { unreachable!("checked") };
    let places = (depth - reach(op, o, 0, kernel)) / stride + 1;
    let mut slices = Vec::with_capacity(kernel);
    for tap in 0..kernel {
        let first = tap * dilation;
        slices.push(x.slice_step(2, first..=first + (places - 1) * stride, depth_step(o)));
    }
    // [N, C, KD, OD, H, W]
    let slices = Var::stack(&slices.iter().collect::<Vec<_>>(), 2);
    slices.permute([0, 3, 1, 2, 4, 5]).reshape([n * places, c * kernel, h, w])
}

/// What the transposed convolution leaves of its whole result along an axis: all but `crop` before and after, and then so
/// many zeros.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub crop: [usize; 2],
    pub zeros: usize,
}

/// The transposed convolution of `x`, `[N, C, ..]`, with filters `w`, `[C, F / groups, ..]`: the gradient of [`conv`] with
/// respect to an input of `F` channels.
#[track_caller]
pub(super) fn conv_transpose<T: Float, const N: usize>(
    op: &'static str,
    x: &Var<T>,
    w: &Param<T>,
    o: ConvOptions<N>,
    ends: [Ends; N],
) -> Var<T> {
    let (filters, kernel) = (w.shape()[1] * o.groups, w.shape()[2..].to_vec());
    check_input(op, x, w.shape()[0], w, &o);
    let (batch, sizes) = (x.shape()[0], x.shape()[2..].to_vec());
    let mut out = Vec::with_capacity(N);
    for a in 0..N {
        let reach = reach(op, &o, a, kernel[a]);
        let whole = sizes[a].saturating_sub(1).saturating_mul(o.stride[a]).saturating_add(reach);
        let crop = ends[a].crop[0].saturating_add(ends[a].crop[1]);
        if whole > Shape::MAX_NUMEL {
            refuse(op, format!("stride {} along axis {} of input {}: the output is too large", o.stride[a], a + 2, x.shape()));
        }
        if sizes[a] == 0 || crop >= whole {
            let got = format!("{whole} places along axis {} (input {})", a + 2, x.shape());
            refuse(op, format!("expected more places than the {crop} that the padding takes, got {got}"));
        }
        out.push(whole - crop);
    }
    let o = ConvOptions { padding: ends.map(|e| e.crop), ..o };
    let y = match N {
        1 => x.unsqueeze(2).conv2d_input_grad(&w.unsqueeze(2), [batch, filters, 1, out[0]], plane(&o)).squeeze(2),
        2 => x.conv2d_input_grad(w, [batch, filters, out[0], out[1]], plane(&o)),
        _ => {
            let slices = x.permute([0, 2, 1, 3, 4]).reshape([batch * sizes[0], x.shape()[1], sizes[1], sizes[2]]);
            let shape = [batch * sizes[0], filters * kernel[0], out[1], out[2]];
            let y = slices.conv2d_input_grad(&fold_taps(w), shape, plane(&o));
            fold_depth(&y.reshape([batch, sizes[0], filters, kernel[0], out[1], out[2]]), &o, out[0])
        }
    };
    if ends.iter().all(|e| e.zeros == 0) {
        return y;
    }
    let pads: Vec<[usize; 2]> = [0, 0].into_iter().chain(ends.map(|e| e.zeros)).map(|zeros| [0, zeros]).collect();
    y.pad(&pads, 0.0)
}

/// The adjoint of [`unfold_depth`], from `[N, OD, C, KD, H, W]`.
#[track_caller]
fn fold_depth<T: Float, const N: usize>(x: &Var<T>, o: &ConvOptions<N>, depth: usize) -> Var<T> {
    let (dilation, padding) = (o.dilation[0], o.padding[0]);
    let whole = depth + padding[0] + padding[1];
    let mut sum = x.select(3, 0).pad_step(1, whole, 0, depth_step(o));
    for tap in 1..x.shape()[3] {
        sum = sum + x.select(3, tap).pad_step(1, whole, tap * dilation, depth_step(o));
    }
    sum.slice(1, padding[0]..padding[0] + depth).permute([0, 2, 1, 3, 4])
}
