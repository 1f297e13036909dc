//! How layers refuse what they cannot take: the layer's name, what it expects and what it got, and where.

use gradus_autograd::{Param, Var};
use gradus_tensor::{Float, OrPanic, ShapeError};
use std::convert::Infallible;
use std::fmt::Display;

/// Panics as ``Linear `features.3` at src/net.rs:41: {detail}``.
#[cold]
#[track_caller]
pub(crate) fn refuse(layer: &'static str, detail: impl Into<String>) -> ! {
    match Err::<Infallible, _>(ShapeError::new(layer, detail)).or_panic() {}
}

/// Refuses an input: `expected input [N, 3], got [4, 5]`.
#[cold]
#[track_caller]
pub(crate) fn refuse_input<T: Float>(layer: &'static str, expected: impl Display, x: &Var<T>) -> ! {
    refuse(layer, format!("expected input {expected}, got {}", x.shape()))
}

/// As [`refuse_input`], of a layer with this parameter, by which its path is found in a model whose parameters are known.
#[cold]
#[track_caller]
pub(crate) fn refuse_input_of<T: Float>(layer: &'static str, param: Option<&Param<T>>, expected: impl Display, x: &Var<T>) -> ! {
    let error = ShapeError::new(layer, format!("expected input {expected}, got {}", x.shape()));
    match Err::<Infallible, _>(error.of_parameter(param.map(Param::number))).or_panic() {}
}

/// The axes of an input with this many, the channels being as said: `[N, 3, H, W]`.
pub(crate) fn axes(channels: impl Display, rank: usize) -> String {
    let behind = match rank {
        3 => ", L",
        4 => ", H, W",
        5 => ", D, H, W",
        _ => "",
    };
    format!("[N, {channels}{behind}]")
}
