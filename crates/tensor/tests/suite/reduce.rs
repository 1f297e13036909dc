//! Reductions against index loops in `f64`.

use crate::common::{Model, chains, full_shapes, indices, on_threads, panic_of, shapes, viewed};
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;

/// The axes whose bit is set in `mask`.
fn axes_of(rank: usize, mask: u8) -> Vec<usize> {
    (0..rank).filter(|a| mask >> a & 1 == 1).collect()
}

/// The groups of values that reducing `axes` folds, as a model of lists.
fn groups(m: &Model<f64>, axes: &[usize], keep: bool) -> (Vec<usize>, Vec<Vec<f64>>) {
    let kept: Vec<usize> = (0..m.shape.len()).map(|a| if axes.contains(&a) { 1 } else { m.shape[a] }).collect();
    let mut groups = vec![vec![]; kept.iter().product()];
    for i in indices(&m.shape) {
        let at = i.iter().zip(&kept).fold(0, |at, (&i, &n)| at * n + if n == 1 { 0 } else { i });
        groups[at].push(m.at(&i));
    }
    let shape = if keep { kept } else { (0..m.shape.len()).filter(|a| !axes.contains(a)).map(|a| m.shape[a]).collect() };
    (shape, groups)
}

fn near(got: &Tensor<f64>, shape: &[usize], wanted: impl Iterator<Item = f64>) {
    assert_eq!(got.shape()[..], *shape);
    for (y, w) in got.to_vec().into_iter().zip(wanted) {
        assert!((y - w).abs() <= 1e-12 * w.abs().max(1.0) || y == w || (y.is_nan() && w.is_nan()), "{y} against {w}");
    }
}

fn variance(v: &[f64], correction: f64) -> f64 {
    let n = v.len() as f64;
    let mean = v.iter().sum::<f64>() / n;
    v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - correction).max(0.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn sums_and_means_agree_with_a_loop(shape in shapes(), chain in chains(), mask in any::<u8>(), keep in any::<bool>()) {
        let (x, m) = viewed::<f64>(&shape, &chain);
        let axes = axes_of(x.rank(), mask);
        let (shape, groups) = groups(&m, &axes, keep);
        let each = |f: &dyn Fn(&[f64]) -> f64| groups.iter().map(|g| f(g)).collect::<Vec<_>>().into_iter();
        let a = &axes[..];
        near(&if keep { x.sum_keep(a) } else { x.sum(a) }, &shape, each(&|g| g.iter().sum()));
        near(&if keep { x.mean_keep(a) } else { x.mean(a) }, &shape, each(&|g| g.iter().sum::<f64>() / g.len() as f64));
        near(&if keep { x.var_keep(a, 1) } else { x.var(a, 1) }, &shape, each(&|g| variance(g, 1.0)));
        near(&x.var_keep(a, 0).reshape(&shape[..]), &shape, each(&|g| variance(g, 0.0)));
        let y = &x * 0.02;
        near(&if keep { y.prod_keep(a) } else { y.prod(a) }, &shape, each(&|g| g.iter().map(|v| v * 0.02).product()));
        let log = |g: &[f64]| g.iter().map(|v| v.exp()).sum::<f64>().ln();
        near(&if keep { x.logsumexp_keep(a) } else { x.logsumexp(a) }, &shape, each(&log));
    }

    #[test]
    fn extremes_agree_with_a_loop(shape in full_shapes(), chain in chains(), mask in any::<u8>(), keep in any::<bool>(), nan in any::<bool>()) {
        let (x, mut m) = viewed::<f64>(&shape, &chain);
        prop_assume!(x.numel() > 0);
        let nan_if = |v: f64| if nan && v == 6.0 { f64::NAN } else { v };
        let x = x.map(nan_if);
        m.data.iter_mut().for_each(|v| *v = nan_if(*v));
        let axes = axes_of(x.rank(), mask);
        let (shape, groups) = groups(&m, &axes, keep);
        let a = &axes[..];
        let extreme = |g: &[f64], f: fn(f64, f64) -> f64| if g.iter().any(|v| v.is_nan()) { f64::NAN } else { g.iter().copied().reduce(f).unwrap() };
        near(&if keep { x.max_keep(a) } else { x.max(a) }, &shape, groups.iter().map(|g| extreme(g, f64::max)));
        near(&if keep { x.min_keep(a) } else { x.min(a) }, &shape, groups.iter().map(|g| extreme(g, f64::min)));
    }

    #[test]
    fn places_of_extremes_and_running_sums_agree(shape in full_shapes(), chain in chains(), axis in 0usize..5, nan in any::<bool>()) {
        let (x, mut m) = viewed::<f64>(&shape, &chain);
        prop_assume!(x.numel() > 0 && x.rank() > 0);
        let axis = axis % x.rank();
        let sums = x.cumsum(axis);
        for i in indices(&m.shape) {
            let at = i.iter().zip(&m.shape).fold(0, |at, (i, n)| at * n + i);
            let wanted: f64 = (0..=i[axis]).map(|k| { let mut j = i.clone(); j[axis] = k; m.at(&j) }).sum();
            prop_assert_eq!(sums.to_vec()[at], wanted);
        }
        let nan_if = |v: f64| if nan && v == 6.0 { f64::NAN } else { v };
        let x = x.map(nan_if);
        m.data.iter_mut().for_each(|v| *v = nan_if(*v));
        let (shape, groups) = groups(&m, &[axis], false);
        let first = |g: &[f64], sign: f64| {
            let rank = |v: f64| if v.is_nan() { f64::INFINITY } else { v * sign };
            (0..g.len()).fold(0, |best, k| if rank(g[k]) > rank(g[best]) { k } else { best }) as i64
        };
        let (most, least) = (x.argmax(axis), x.argmin(axis));
        prop_assert_eq!(&most.shape()[..], &shape[..]);
        prop_assert_eq!(most.to_vec(), groups.iter().map(|g| first(g, 1.0)).collect::<Vec<_>>());
        prop_assert_eq!(least.to_vec(), groups.iter().map(|g| first(g, -1.0)).collect::<Vec<_>>());
    }

    #[test]
    fn sum_to_is_the_adjoint_of_expand(shape in shapes(), chain in chains(), ones in any::<u8>(), dropped in 0usize..3) {
        let (x, m) = viewed::<f64>(&shape, &chain);
        let dropped = dropped.min(x.rank());
        let target: Vec<usize> = (dropped..x.rank()).map(|a| if ones >> a & 1 == 1 { 1 } else { m.shape[a] }).collect();
        let mut wanted = vec![0.0; target.iter().product()];
        for i in indices(&m.shape) {
            let at = i[dropped..].iter().zip(&target).fold(0, |at, (&i, &n)| at * n + if n == 1 { 0 } else { i });
            wanted[at] += m.at(&i);
        }
        near(&x.sum_to(&target[..]), &target, wanted.into_iter());
    }

    #[test]
    fn sizes_around_blocks_are_summed_whole(outer in 1usize..4, n in prop_oneof![1usize..40, 120usize..140, 1000usize..1100, 3000usize..3100], inner in prop_oneof![Just(1usize), 2usize..5, 500usize..530]) {
        let x = Tensor::<i64>::arange(0, (outer * n * inner) as i64, 1).reshape([outer, n, inner]);
        let value = |o: usize, k: usize, i: usize| ((o * n + k) * inner + i) as i64;
        let wanted: Vec<i64> = (0..outer).flat_map(|o| (0..inner).map(move |i| (0..n).map(|k| value(o, k, i)).sum())).collect();
        prop_assert_eq!(x.sum(1).to_vec(), wanted);
        let last: Vec<i64> = (0..outer).flat_map(|o| (0..inner).map(move |i| value(o, n - 1, i))).collect();
        prop_assert_eq!(x.max(1).to_vec(), last);
    }
}

#[test]
fn sums_of_many_small_numbers_are_accurate() {
    let n = 10_000_000;
    let exact = f64::from(0.1f32) * n as f64;
    let off = |got: f32, exact: f64| (f64::from(got) - exact).abs() / exact;
    let x = Tensor::full([n], 0.1f32).copy();
    assert!(off(x.sum(..).item(), exact) < 1e-6);
    assert!(off(x.mean(..).item(), f64::from(0.1f32)) < 1e-6);
    for columns in [4, 1000] {
        let sums = x.reshape([-1, columns]).sum(0);
        assert!(sums.to_vec().iter().all(|&s| off(s, exact / columns as f64) < 1e-6), "{columns} columns");
        let sums = x.reshape([columns, -1]).sum(1);
        assert!(sums.to_vec().iter().all(|&s| off(s, exact / columns as f64) < 1e-6), "{columns} rows");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let x = Tensor::<f32>::normal([37, 101, 203], 0.0, 1.0, &mut Rng::seed(9));
    let run = |threads| {
        on_threads(threads, || {
            let sums = [x.sum(..), x.sum(0), x.sum(1), x.sum(2), x.sum([0, 1]), x.sum([0, 2]), x.t().sum(0)];
            let more = [x.var(0, 1), x.logsumexp(1), x.cumsum(2), x.reshape([-1, 7]).sum(0), x.reshape([7, -1]).prod(1)];
            (sums, more, x.argmax(1))
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn empty_axes_give_the_neutral_element() {
    let x = Tensor::<f32>::zeros([2, 0, 3]);
    assert_eq!(x.sum(1), Tensor::zeros([2, 3]));
    assert_eq!(x.prod(1), Tensor::ones([2, 3]));
    assert_eq!(*x.sum(0).shape(), [0, 3]);
    assert!(x.mean(1).to_vec().iter().all(|v| v.is_nan()));
    assert!(x.var(1, 1).to_vec().iter().all(|v| v.is_nan()));
    assert_eq!(x.logsumexp(1).to_vec(), [f32::NEG_INFINITY; 6]);
    assert_eq!(*x.max(0).shape(), [0, 3]);
    assert_eq!(*x.argmax(0).shape(), [0, 3]);
    assert_eq!(x.cumsum(1), x);
    assert_eq!(x.sum(..).item(), 0.0);
}

#[test]
fn logsumexp_neither_overflows_nor_loses_infinities() {
    const INF: f32 = f32::INFINITY;
    let of = |v: &[f32]| Tensor::from(v.to_vec()).logsumexp(0).item();
    assert_eq!(of(&[1000.0, 1000.0]), 1000.0 + 2f32.ln());
    assert_eq!(of(&[-1000.0, -1000.0]), -1000.0 + 2f32.ln());
    assert_eq!(of(&[-INF, -INF]), -INF);
    assert_eq!(of(&[-INF, 0.0]), 0.0);
    assert_eq!(of(&[INF, 0.0]), INF);
    assert_eq!(of(&[INF, -INF]), INF);
    assert!(of(&[f32::NAN, 0.0]).is_nan() && of(&[f32::NAN, INF]).is_nan());
}

#[test]
fn mistakes_name_op_place_and_shapes() {
    let x = Tensor::<f32>::zeros([2, 0]);
    for (message, wanted) in [
        (panic_of(|| x.sum(2)), "axis 2 of a tensor with 2 axes; allowed are -2 to 1"),
        (panic_of(|| x.sum([0, -2])), "axis -2 is given twice"),
        (panic_of(|| x.mean(3)), "mean at crates/tensor/tests/suite/reduce.rs:"),
        (panic_of(|| x.max(1)), "max at crates/tensor/tests/suite/reduce.rs:"),
        (panic_of(|| x.min(..)), "no element along axes [0, 1] of shape [2, 0]"),
        (panic_of(|| x.argmax(1)), "no element along axis 1 of shape [2, 0]"),
        (panic_of(|| x.cumsum(-3)), "cumsum at crates/tensor/tests/suite/reduce.rs:"),
        (panic_of(|| x.sum_to([3])), "sum_to at crates/tensor/tests/suite/reduce.rs:"),
        (panic_of(|| x.sum_to([3])), "[3] does not broadcast to [2, 0]"),
    ] {
        assert!(message.contains(wanted), "{message:?} lacks {wanted:?}");
    }
}

/// Rows are taken one by one or eight side by side, by how many there are.
#[test]
fn running_sums_of_rows() {
    for (rows, n) in [(1, 1), (7, 3), (15, 9), (16, 1), (17, 33), (24, 1000), (100, 5)] {
        let x: Vec<i64> = (0..rows * n).map(|i| i * 37 % 101 - 50).collect();
        let expected: Vec<i64> = x
            .chunks(n as usize)
            .flat_map(|row| {
                row.iter()
                    .scan(0, |total, v| {
                        *total += v;
                        Some(*total)
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        let x = Tensor::from(x).reshape([rows as usize, n as usize]);
        assert_eq!(x.cumsum(1).to_vec(), expected, "{rows} rows of {n}");
        assert_eq!(x.cast::<f32>().cumsum(1), x.cumsum(1).cast::<f32>(), "{rows} rows of {n}");
    }
}
