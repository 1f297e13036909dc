//! The zeros around an input, and options for each axis.

use gradus_autograd::{Module, Param, Path, Visitor};
use gradus_tensor::{ConvOptions, Float, OrPanic, same_padding};

/// The zeros around a picture, a sequence (`N` is 1) or a volume (3).
///
/// PyTorch's `padding=p` is `Explicit([[p, p], ..])`, which `.padding(p)` of a layer makes. PyTorch's `padding="same"` is
/// `Same`: PyTorch allows it at stride 1 only, where Keras' and its own agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding<const N: usize = 2> {
    /// None: the filter stays inside.
    Valid,
    /// As many as make the output `ceil(size / stride)`, the odd one at the end (bottom, right), as Keras defines it. At a
    /// stride above 1 that is not half of the filter on each side, as most PyTorch models have it, and the filter lies
    /// elsewhere.
    Same,
    /// Before and after each axis: `[[top, bottom], [left, right]]`.
    Explicit([[usize; 2]; N]),
}

impl<const N: usize> Padding<N> {
    /// The zeros for an input of this shape; an input of other axes is left to the convolution to refuse.
    #[track_caller]
    pub(super) fn of(self, op: &'static str, input: &[usize], kernel: &[usize], o: &ConvOptions<N>) -> [[usize; 2]; N] {
        match self {
            Self::Explicit(padding) => padding,
            Self::Same if input.len() == N + 2 => {
                let mut same = [[0, 0]; N];
                for (a, padding) in same.iter_mut().enumerate() {
                    *padding = same_padding(op, input[a + 2], kernel[a], o.stride[a], o.dilation[a]).or_panic();
                }
                same
            }
            _ => [[0, 0]; N],
        }
    }
}

/// Plain data: no parameters.
impl<T: Float, const N: usize> Module<T> for Padding<N> {
    fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn Visitor<'a, T>) {}
    fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&Path, &mut Param<T>)) {}
}

/// One number for all axes, or a number for each: `3` or `[rows, columns]`.
pub trait PerAxis<const N: usize> {
    /// A number for each axis.
    fn per_axis(self) -> [usize; N];
}

impl<const N: usize> PerAxis<N> for usize {
    fn per_axis(self) -> [usize; N] {
        [self; N]
    }
}

impl<const N: usize> PerAxis<N> for [usize; N] {
    fn per_axis(self) -> [usize; N] {
        self
    }
}

/// The same number before and after.
pub(in crate::layers) fn both_sides<const N: usize>(padding: impl PerAxis<N>) -> [[usize; 2]; N] {
    padding.per_axis().map(|p| [p, p])
}

/// Refuses numbers that do not divide by the groups.
#[track_caller]
pub(super) fn check_groups(op: &str, channels: usize, filters: usize, groups: usize) {
    assert!(
        groups > 0 && channels.is_multiple_of(groups) && filters.is_multiple_of(groups),
        "{op}: {channels} channels and {filters} filters do not divide into {groups} groups"
    );
}
