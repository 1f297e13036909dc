//! Joining, splitting, padding and moving, against the definition at every index.

use crate::common::{indices, panic_of};
use crate::layouts::{at, integers};
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;

fn shape_and_axis() -> impl Strategy<Value = (Vec<usize>, usize)> {
    prop::collection::vec(0usize..5, 1..4).prop_flat_map(|s| {
        let n = s.len();
        (Just(s), 0..n)
    })
}

fn with(index: &[usize], axis: usize, i: usize) -> Vec<usize> {
    let mut index = index.to_vec();
    index[axis] = i;
    index
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn concat_and_split_sizes((shape, axis) in shape_and_axis(), sizes in prop::collection::vec(0usize..4, 1..4), seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        let parts: Vec<_> = sizes.iter().map(|&n| integers(&mut rng, &with(&shape, axis, n))).collect();
        let whole = Tensor::concat(&parts.iter().collect::<Vec<_>>(), axis);
        prop_assert_eq!(whole.shape(), &with(&shape, axis, sizes.iter().sum())[..]);
        for i in indices(whole.shape()) {
            let (mut part, mut k) = (0, i[axis]);
            while k >= sizes[part] {
                k -= sizes[part];
                part += 1;
            }
            prop_assert_eq!(at(&whole, &i), at(&parts[part], &with(&i, axis, k)));
        }
        let back = whole.split_sizes(&sizes, axis);
        prop_assert!(back.iter().all(|p| p.shares_buffer_with(&whole)));
        prop_assert!(back.iter().zip(&parts).all(|(a, b)| a == b));
        prop_assert_eq!(back.len(), parts.len());
    }

    #[test]
    fn stack_and_select(shape in prop::collection::vec(0usize..4, 0..3), count in 1usize..4, place in 0usize..3, seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        let axis = place.min(shape.len());
        let parts: Vec<_> = (0..count).map(|_| integers(&mut rng, &shape)).collect();
        let whole = Tensor::stack(&parts.iter().collect::<Vec<_>>(), axis);
        let mut wanted = shape.clone();
        wanted.insert(axis, count);
        prop_assert_eq!(whole.shape(), &wanted[..]);
        for (i, p) in parts.iter().enumerate() {
            prop_assert_eq!(&whole.select(axis, i), p);
        }
    }

    #[test]
    fn split_and_chunk((shape, axis) in shape_and_axis(), size in 1usize..6, seed in 0u64..1 << 32) {
        let x = integers(&mut Rng::seed(seed), &shape);
        let n = shape[axis];
        for (parts, size) in [(x.split(size, axis), size), (x.chunk(size, axis), n.div_ceil(size).max(1))] {
            prop_assert_eq!(parts.len(), n.div_ceil(size));
            for (i, p) in parts.iter().enumerate() {
                prop_assert!(p.shares_buffer_with(&x));
                prop_assert_eq!(p, &x.slice(axis, i * size..((i + 1) * size).min(n)));
            }
        }
    }

    #[test]
    fn pad(shape in prop::collection::vec(0usize..4, 0..4), pads in prop::collection::vec([0usize..3, 0usize..3], 3), seed in 0u64..1 << 32) {
        let x = integers(&mut Rng::seed(seed), &shape);
        let pads = &pads[..shape.len()];
        let y = x.pad(pads, 99);
        let wanted: Vec<usize> = shape.iter().zip(pads).map(|(n, [a, b])| n + a + b).collect();
        prop_assert_eq!(y.shape(), &wanted[..]);
        for i in indices(&wanted) {
            let inner: Option<Vec<usize>> =
                i.iter().zip(pads).zip(&shape).map(|((i, p), n)| i.checked_sub(p[0]).filter(|i| i < n)).collect();
            prop_assert_eq!(at(&y, &i), inner.map_or(99, |i| at(&x, &i)));
        }
    }

    #[test]
    fn repeat_and_roll((shape, axis) in shape_and_axis(), reps in prop::collection::vec(0usize..3, 3), shift in -9isize..10, seed in 0u64..1 << 32) {
        let x = integers(&mut Rng::seed(seed), &shape);
        let y = x.repeat(&reps[..shape.len()]);
        let wanted: Vec<usize> = shape.iter().zip(&reps).map(|(n, r)| n * r).collect();
        prop_assert_eq!(y.shape(), &wanted[..]);
        for i in indices(&wanted) {
            let from: Vec<usize> = i.iter().zip(&shape).map(|(i, n)| i % n).collect();
            prop_assert_eq!(at(&y, &i), at(&x, &from));
        }
        let y = x.roll(shift, axis);
        prop_assert_eq!(y.shape(), x.shape());
        for i in indices(&shape) {
            let to = (i[axis] as isize + shift).rem_euclid(shape[axis] as isize) as usize;
            prop_assert_eq!(at(&y, &with(&i, axis, to)), at(&x, &i));
        }
    }
}

#[test]
fn errors_say_what_would_have_fitted() {
    let (a, b) = (Tensor::<i64>::zeros([2, 3]), Tensor::<i64>::zeros([2, 4]));
    let check = |f: &(dyn Fn() + std::panic::RefUnwindSafe), wanted: &str| {
        let message = panic_of(f);
        assert_eq!(message.split_once(": ").unwrap().1, wanted);
    };
    check(&|| drop(Tensor::concat(&[&a, &b], 0)), "tensor 1 is [2, 4] beside [2, 3]; all axes but 0 must agree");
    check(&|| drop(Tensor::<i64>::concat(&[], 0)), "no tensors; at least one is wanted");
    check(&|| drop(Tensor::stack(&[&a, &b], 0)), "tensor 1 is [2, 4] beside [2, 3]; all shapes must agree");
    check(&|| drop(a.split(0, 0)), "parts of size 0; 1 or more is wanted");
    check(&|| drop(a.chunk(0, 0)), "0 parts; 1 or more is wanted");
    check(&|| drop(a.split_sizes(&[1, 1], 1)), "sizes [1, 1] of axis 1, which has 3 (shape [2, 3])");
    check(&|| drop(a.pad(&[[1, 1]], 0)), "1 pairs for a tensor of shape [2, 3]; one pair an axis is wanted");
    check(&|| drop(a.repeat(&[2])), "1 counts for a tensor of shape [2, 3]; one an axis is wanted");
}
