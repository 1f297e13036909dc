//! Edges around sequences, pictures and volumes.

use super::conv::{PerAxis, both_sides};
use crate::layer::{Layer, Mode};
use crate::refuse::{axes, refuse, refuse_input};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::{Float, OrPanic, Tensor};

/// What an edge holds.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Zeros,
    Reflection,
    Replication,
    Circular,
}

/// `x` with an edge of so many pixels before and after each of the last axes.
#[track_caller]
fn with_edge<T: Float, const N: usize>(op: &'static str, x: &Var<T>, padding: [[usize; 2]; N], edge: Edge) -> Var<T> {
    if x.rank() != N + 2 {
        refuse_input(op, axes("C", N + 2), x)
    }
    let mut y = x.clone();
    for (a, [before, after]) in padding.into_iter().enumerate() {
        let n = x.shape()[a + 2];
        let most = match edge {
            Edge::Zeros => usize::MAX,
            Edge::Reflection => n.saturating_sub(1),
            Edge::Replication => {
                if n > 0 {
                    usize::MAX
                } else {
                    0
                }
            }
            Edge::Circular => n,
        };
        if before.max(after) > most {
            let got = format!("[{before}, {after}] (input {})", x.shape());
            refuse(op, format!("expected padding of at most {most} along axis {}, got {got}", a + 2))
        }
        if before == 0 && after == 0 {
            continue;
        }
        let mut padded = y.shape().clone();
        padded[a + 2] = n.saturating_add(before).saturating_add(after);
        let padded = padded.checked(op).or_panic();
        if let Edge::Zeros = edge {
            let mut pads = vec![[0, 0]; x.rank()];
            pads[a + 2] = [before, after];
            y = y.pad(&pads, 0.0);
            continue;
        }
        let last = n as i64 - 1;
        let source = |i: i64| match edge {
            Edge::Reflection => last - (last - i.abs()).abs(),
            Edge::Circular => i.rem_euclid(last + 1),
            _ => i.clamp(0, last),
        };
        let places = Tensor::from_fn([padded[a + 2]], |i| source(i[0] as i64 - before as i64));
        y = y.index_select(a + 2, &places);
    }
    y
}

macro_rules! pads {
    ($($(#[$doc:meta])* $name:ident, $op:literal, $n:literal, $edge:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// On the forward pass, when the input has other axes, or the edge is wider than the input can fill.
        #[derive(Clone, Copy, Debug, Module)]
        pub struct $name {
            #[module(skip)]
            padding: [[usize; 2]; $n],
        }

        impl $name {
            /// Of this width on all sides: one number, or one for each axis.
            pub fn new(padding: impl PerAxis<$n>) -> Self {
                Self { padding: both_sides(padding) }
            }

            /// Of these widths before and after each axis: `[[top, bottom], [left, right]]`.
            pub fn sides(padding: [[usize; 2]; $n]) -> Self {
                Self { padding }
            }
        }

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                with_edge($op, x, self.padding, Edge::$edge)
            }
        }
    )*};
}

pads! {
    /// An edge of zeros around sequences `[N, C, L]`.
    #[doc(alias = "ZeroPadding1D")]
    ZeroPad1d, "ZeroPad1d", 1, Zeros;
    /// An edge of zeros around pictures `[N, C, H, W]`.
    ///
    /// ```
    /// use gradus_nn::{Layer, Mode, ZeroPad2d};
    /// use gradus_tensor::Tensor;
    /// let y = ZeroPad2d::sides([[0, 1], [2, 0]]).forward(&Tensor::<f32>::ones([1, 1, 1, 1]).into(), &mut Mode::Eval);
    /// assert_eq!(*y.value(), Tensor::from([[[[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]]]));
    /// ```
    #[doc(alias = "ZeroPadding2D")]
    ZeroPad2d, "ZeroPad2d", 2, Zeros;
    /// An edge of zeros around volumes `[N, C, D, H, W]`.
    #[doc(alias = "ZeroPadding3D")]
    ZeroPad3d, "ZeroPad3d", 3, Zeros;
    /// An edge around sequences `[N, C, L]` that mirrors them, without the outermost element: `c b | a b c | b a`.
    ReflectionPad1d, "ReflectionPad1d", 1, Reflection;
    /// An edge around pictures `[N, C, H, W]` that mirrors them, without the outermost pixel: `c b | a b c | b a`.
    ReflectionPad2d, "ReflectionPad2d", 2, Reflection;
    /// An edge around volumes `[N, C, D, H, W]` that mirrors them, without the outermost element: `c b | a b c | b a`.
    ReflectionPad3d, "ReflectionPad3d", 3, Reflection;
    /// An edge around sequences `[N, C, L]` that repeats the outermost element: `a a | a b c | c c`.
    ReplicationPad1d, "ReplicationPad1d", 1, Replication;
    /// An edge around pictures `[N, C, H, W]` that repeats the outermost pixel: `a a | a b c | c c`.
    ReplicationPad2d, "ReplicationPad2d", 2, Replication;
    /// An edge around volumes `[N, C, D, H, W]` that repeats the outermost element: `a a | a b c | c c`.
    ReplicationPad3d, "ReplicationPad3d", 3, Replication;
    /// An edge around sequences `[N, C, L]` that goes on at the other end: `b c | a b c | a b`.
    CircularPad1d, "CircularPad1d", 1, Circular;
    /// An edge around pictures `[N, C, H, W]` that goes on at the other end: `b c | a b c | a b`.
    CircularPad2d, "CircularPad2d", 2, Circular;
    /// An edge around volumes `[N, C, D, H, W]` that goes on at the other end: `b c | a b c | a b`.
    CircularPad3d, "CircularPad3d", 3, Circular;
}
