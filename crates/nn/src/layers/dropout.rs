//! Dropout.

use crate::layer::{Layer, Mode};
use crate::refuse::{axes, refuse_input};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Shape, Tensor};

/// In training, zeroes each element with probability `p` and divides the others by `1 - p`; in evaluation, passes
/// through (Srivastava et al. 2014).
#[derive(Clone, Copy, Debug, Module)]
pub struct Dropout {
    p: f64,
}

impl Dropout {
    /// With probability `p` of dropping an element.
    ///
    /// # Panics
    /// When `p` is not in `0.0..1.0`.
    #[track_caller]
    pub fn new(p: f64) -> Self {
        assert!((0.0..1.0).contains(&p), "dropout: the probability is {p}; wanted 0 or more and less than 1");
        Self { p }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for Dropout {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
        match mode {
            Mode::Eval => x.clone(),
            Mode::Train(rng) => x.dropout(self.p, rng),
        }
    }
}

/// Dropout of whole channels, of any rank.
macro_rules! spatial_dropout {
    ($(#[$doc:meta])* $name:ident, $op:literal, $rank:literal, $alias:literal) => {
        $(#[$doc])*
        /// In training, zeroes each channel of each sample with probability `p` and divides the others by `1 - p`; in
        /// evaluation, passes through. Neighbouring elements are alike, so that dropping single ones would drop little
        /// (Tompson et al. 2015).
        ///
        /// # Panics
        /// On the forward pass, when the input has another number of axes.
        #[doc(alias = $alias)]
        #[derive(Clone, Copy, Debug, Module)]
        pub struct $name {
            p: f64,
        }

        impl $name {
            /// With probability `p` of dropping a channel.
            ///
            /// # Panics
            /// When `p` is not in `0.0..1.0`.
            #[track_caller]
            pub fn new(p: f64) -> Self {
                assert!((0.0..1.0).contains(&p), "{}: the probability is {p}; wanted 0 or more and less than 1", $op);
                Self { p }
            }
        }

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
                if x.rank() != $rank {
                    refuse_input(stringify!($name), axes("C", $rank), x)
                }
                match mode {
                    Mode::Train(rng) if self.p > 0.0 => {
                        let each: Shape = (0..$rank).map(|a| if a < 2 { x.shape()[a] } else { 1 }).collect();
                        // Not a product: what is dropped may be NaN.
                        x.mul_no_nan(&Var::constant(Tensor::ones(each)).dropout(self.p, rng))
                    }
                    _ => x.clone(),
                }
            }
        }
    };
}

spatial_dropout! {
    /// Dropout of the channels of sequences `[N, C, L]`.
    ///
    /// ```
    /// use gradus_nn::{Dropout1d, Layer, Mode};
    /// use gradus_tensor::{Rng, Tensor};
    /// let y = Dropout1d::new(0.5).forward(&Tensor::<f32>::ones([1, 4, 3]).into(), &mut Mode::Train(&mut Rng::seed(0)));
    /// for channel in y.value().split(1, 1) {
    ///     assert!(channel == Tensor::zeros([1, 1, 3]) || channel == Tensor::full([1, 1, 3], 2.0));
    /// }
    /// ```
    Dropout1d, "dropout1d", 3, "SpatialDropout1D"
}
spatial_dropout! {
    /// Dropout of the channels of pictures `[N, C, H, W]`.
    Dropout2d, "dropout2d", 4, "SpatialDropout2D"
}
spatial_dropout! {
    /// Dropout of the channels of volumes `[N, C, D, H, W]`.
    Dropout3d, "dropout3d", 5, "SpatialDropout3D"
}
