//! Other frameworks' functions as [`gradus_check::Function`]s, so that the checker can be turned on their gradients.
//!
//! One adapter a feature: `burn` for burn's ndarray backend under its autodiff, `candle` for candle on the CPU; both in
//! `f64`, as differences need. First derivatives only: neither framework differentiates a gradient again. Views are not
//! reproduced: arrays reach the framework contiguous.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "burn")]
pub mod burn;
#[cfg(feature = "candle")]
pub mod candle;
mod survey;

pub use survey::{Draw, Survey};

/// Runs `f`; a panic becomes an error with its message.
#[cfg(any(feature = "burn", feature = "candle"))]
fn caught<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "a panic".into())
    })
}
