//! Strategies for [`proptest`]: shapes, arrays and layouts as the checks of Gradus' own ops use them.
//!
//! Values are any strategy of `f64`: a range is one, `prop_oneof![0.4..3.0, -3.0..-0.4]` avoids a pole, and [`ties`],
//! [`signed_zeros`] and [`scales`] are harder ones.
//!
//! ```
//! # #[cfg(feature = "gradus")] {
//! use gradus_check::strategies::{arrays, viewed};
//! use gradus_check::{Checker, GradusFunction};
//! use gradus_autograd::Var;
//! use proptest::prelude::*;
//!
//! proptest! {
//!     #![proptest_config(ProptestConfig { cases: 5, failure_persistence: None, ..ProptestConfig::default() })]
//!     fn softplus_is_right(x in viewed(arrays(20, -4.0..4.0))) {
//!         let softplus = GradusFunction::new(|v: &[Var<f64>]| v[0].softplus());
//!         Checker::new().check(&softplus, &[x]).map_err(|failure| TestCaseError::fail(failure.to_string()))?;
//!     }
//! }
//! softplus_is_right();
//! # }
//! ```

use crate::array::{Array, View};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

/// The highest rank that is drawn.
const RANK: usize = 5;

/// Shapes of rank 0 to 5 with at most so many elements: sizes 1, 2, 3, 5 and 7, and in one of ten an axis of size 0.
///
/// ```
/// use gradus_check::strategies::shapes;
/// use proptest::prelude::*;
/// proptest!(|(shape in shapes(30))| prop_assert!(shape.iter().product::<usize>() <= 30));
/// ```
pub fn shapes(elements: usize) -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![3 => Just(1usize), 4 => Just(2), 4 => Just(3), 1 => Just(5), 1 => Just(7)];
    (vec(size, 0..=RANK), option::weighted(0.1, any::<Index>())).prop_map(move |(mut shape, empty)| {
        while shape.iter().product::<usize>() > elements.max(1) {
            let largest = (0..shape.len()).max_by_key(|&axis| shape[axis]).expect("a shape of several elements has axes");
            shape[largest] = 1;
        }
        if let Some(at) = empty.filter(|_| !shape.is_empty()) {
            let axis = at.index(shape.len());
            shape[axis] = 0;
        }
        shape
    })
}

/// Two shapes that broadcast, to at most so many elements: axes of either may be of size 1, or missing in front.
///
/// ```
/// use gradus_check::strategies::broadcast_pairs;
/// use gradus_tensor::shape::broadcast_shapes;
/// use proptest::prelude::*;
/// proptest!(|((a, b) in broadcast_pairs(30))| prop_assert!(broadcast_shapes("add", &a, &b).is_ok()));
/// ```
pub fn broadcast_pairs(elements: usize) -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    (shapes(elements), vec(0..4, RANK), 0..=RANK, 0..4).prop_map(|(full, ones, cut, which)| {
        let (mut a, mut b) = (full.clone(), full);
        for (axis, one) in ones.into_iter().enumerate().take(a.len()) {
            match one {
                2 => a[axis] = 1,
                3 => b[axis] = 1,
                _ => {}
            }
        }
        let cut = cut.min(a.len());
        match which {
            2 => drop(a.drain(..cut)),
            3 => drop(b.drain(..cut)),
            _ => {}
        }
        (a, b)
    })
}

/// Arrays of a shape.
pub fn arrays_of(shape: Vec<usize>, values: impl Strategy<Value = f64>) -> impl Strategy<Value = Array> {
    let places = shape.iter().product::<usize>();
    vec(values, places).prop_map(move |data| Array::new(shape.clone(), data))
}

/// Arrays of [`shapes`] with at most so many elements.
pub fn arrays(elements: usize, values: impl Strategy<Value = f64> + Clone) -> impl Strategy<Value = Array> {
    shapes(elements).prop_flat_map(move |shape| arrays_of(shape, values.clone()))
}

/// Two arrays whose shapes are [`broadcast_pairs`], each with values of its own.
///
/// ```
/// # #[cfg(feature = "gradus")] {
/// use gradus_check::strategies::broadcast_arrays;
/// use gradus_check::{check, tensor_of};
/// use proptest::prelude::*;
/// proptest!(ProptestConfig::with_cases(5), |((a, b) in broadcast_arrays(12, -2.0..2.0, 0.5..2.0))| {
///     prop_assert!(check(|v| &v[0] / &v[1], [tensor_of(&a), tensor_of(&b)]).is_ok());
/// });
/// # }
/// ```
pub fn broadcast_arrays(
    elements: usize,
    a: impl Strategy<Value = f64> + Clone,
    b: impl Strategy<Value = f64> + Clone,
) -> impl Strategy<Value = (Array, Array)> {
    broadcast_pairs(elements).prop_flat_map(move |(sa, sb)| (arrays_of(sa, a.clone()), arrays_of(sb, b.clone())))
}

/// The arrays, each seen through up to three views: transposed, flipped, every second index of a larger one. One of four has
/// its values repeated along an axis, and is expanded along it. For inputs, and for cotangents.
///
/// ```
/// # #[cfg(feature = "gradus")] {
/// use gradus_check::strategies::{arrays, viewed};
/// use gradus_check::tensor_of;
/// use proptest::prelude::*;
/// proptest!(|(a in viewed(arrays(30, -1.0..1.0)))| prop_assert_eq!(tensor_of(&a).to_vec(), a.data()));
/// # }
/// ```
pub fn viewed(arrays: impl Strategy<Value = Array>) -> impl Strategy<Value = Array> {
    let view = (0..3, any::<Index>(), any::<Index>());
    let expanded = option::weighted(0.25, any::<Index>());
    (arrays, vec(view, 0..=3), expanded).prop_map(|(array, views, expanded)| {
        let rank = array.shape().len();
        if rank == 0 {
            return array;
        }
        let view = |(kind, a, b): (i32, Index, Index)| match kind {
            0 => View::Transposed(a.index(rank), b.index(rank)),
            1 => View::Flipped(a.index(rank)),
            _ => View::Stepped(a.index(rank)),
        };
        let mut views: Vec<View> = views.into_iter().map(view).collect();
        let Some(axis) = expanded.map(|at| at.index(rank)).filter(|&axis| array.shape()[axis] > 1) else {
            return array.viewed(views);
        };
        // The outermost view, so that the others lay out what is expanded.
        views.push(View::Expanded(axis));
        array.select(axis, &vec![0; array.shape()[axis]]).viewed(views)
    })
}

/// Few different values, so that many are equal: `-1`, `-1/2`, `0`, `1/2` and `1`.
pub fn ties() -> impl Strategy<Value = f64> + Clone {
    (-2..=2).prop_map(|i| f64::from(i) * 0.5)
}

/// These values, and in one of four `0` or `-0`.
pub fn signed_zeros(values: impl Strategy<Value = f64> + Clone) -> impl Strategy<Value = f64> + Clone {
    (values, 0..8).prop_map(|(v, which)| match which {
        6 => 0.0,
        7 => -0.0,
        _ => v,
    })
}

/// Numbers of either sign whose size is anywhere from `10^-decades` to `10^decades`: 150 leaves room for squares in `f64`,
/// 15 in `f32`.
///
/// ```
/// use gradus_check::strategies::scales;
/// use proptest::prelude::*;
/// proptest!(|(v in scales(150))| prop_assert!((v * v).is_normal()));
/// ```
pub fn scales(decades: u32) -> impl Strategy<Value = f64> + Clone {
    let decades = f64::from(decades);
    ((-decades..decades), any::<bool>()).prop_map(|(e, negative)| if negative { -(10f64.powf(e)) } else { 10f64.powf(e) })
}
