//! Convolution and its gradients against the defining sum, over shapes, options, views and numbers of threads.

use crate::common::{on_threads, panic_of};
use crate::layouts::reals;
use gradus_tensor::{Conv2dOptions, ConvAlgorithm, Float, Rng, Tensor, conv2d_shape};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
struct Problem {
    x: [usize; 4],
    w: [usize; 4],
    o: Conv2dOptions,
}

impl Problem {
    fn y(&self) -> [usize; 4] {
        conv2d_shape(&self.x, &self.w, &self.o).unwrap()[..].try_into().unwrap()
    }

    /// Calls `f` with the places of each product's three factors in x, w and y.
    fn each_product(&self, mut f: impl FnMut(usize, usize, usize)) {
        let Self { x: [batch, channels, height, width], w: [filters, depth, kh, kw], o } = *self;
        let [_, _, oh, ow] = self.y();
        let flat = |[a, b, c, d]: [usize; 4], [_, nb, nc, nd]: [usize; 4]| ((a * nb + b) * nc + c) * nd + d;
        let place = |i: usize, tap: usize, axis: usize, size: usize| {
            (i * o.stride[axis] + tap * o.dilation[axis]).checked_sub(o.padding[axis][0]).filter(|&p| p < size)
        };
        for n in 0..batch {
            for k in 0..filters {
                let first = k / (filters / o.groups) * (channels / o.groups);
                for c in 0..depth {
                    for (i, a) in (0..oh).flat_map(|i| (0..kh).map(move |a| (i, a))) {
                        for (j, b) in (0..ow).flat_map(|j| (0..kw).map(move |b| (j, b))) {
                            let (Some(h), Some(v)) = (place(i, a, 0, height), place(j, b, 1, width)) else { continue };
                            f(flat([n, first + c, h, v], self.x), flat([k, c, a, b], self.w), flat([n, k, i, j], self.y()));
                        }
                    }
                }
            }
        }
    }

    /// The convolution, its input gradient and its weight gradient, by the definition.
    fn naive(&self, x: &[f64], w: &[f64], gy: &[f64]) -> [Vec<f64>; 3] {
        let (mut y, mut gx, mut gw) = (vec![0.0; gy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        self.each_product(|i, j, k| {
            y[k] += x[i] * w[j];
            gx[i] += gy[k] * w[j];
            gw[j] += gy[k] * x[i];
        });
        [y, gx, gw]
    }
}

/// Results of the functions under test, in the order of [`Problem::naive`].
fn computed<T: Float>(p: &Problem, x: &Tensor<T>, w: &Tensor<T>, gy: &Tensor<T>) -> [Tensor<T>; 3] {
    let [gx, gw] = [gy.conv2d_input_grad(w, p.x, p.o), x.conv2d_weight_grad(gy, p.w, p.o)];
    assert_eq!(x.conv2d_grads(w, gy, p.o), [gx.clone(), gw.clone()], "both gradients at once, of {p:?}");
    [x.conv2d(w, p.o), gx, gw]
}

/// Options and sizes along one axis: kernel, stride, dilation, padding, size; padding may exceed the picture.
fn axes() -> impl Strategy<Value = (usize, usize, usize, [usize; 2], usize)> {
    let any = (1usize..8, 1usize..4, 1usize..4, [0usize..6, 0usize..6], 0usize..8).prop_map(|(k, s, d, p, more)| {
        let fits = (d * (k - 1) + 1).saturating_sub(p[0] + p[1]).max(1);
        (k, s, d, p, fits + more)
    });
    let plain = (1usize..4, 1usize..40).prop_map(|(k, more)| (k, 1, 1, [k / 2, k / 2], more));
    prop_oneof![3 => any, 1 => plain]
}

fn problems() -> impl Strategy<Value = Problem> {
    let spread = (0usize..4, 1usize..4, 1usize..4, 1usize..4, axes(), axes());
    spread.prop_map(|(batch, groups, depth, filters, (kh, sh, dh, ph, height), (kw, sw, dw, pw, width))| Problem {
        x: [batch, groups * depth, height, width],
        w: [groups * filters, depth, kh, kw],
        o: Conv2dOptions { stride: [sh, sw], padding: [ph, pw], dilation: [dh, dw], groups, ..Default::default() },
    })
}

/// Operands of random layouts.
fn operands(p: &Problem, seed: u64) -> [Tensor<f64>; 3] {
    let rng = &mut Rng::seed(seed);
    [reals(rng, &p.x), reals(rng, &p.w), reals(rng, &p.y())]
}

fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    a.to_vec().iter().zip(b.to_vec()).map(|(a, b)| a * b).sum()
}

/// Checks all three functions by either algorithm, at `f64` and at `f32`, within the bound of a sum: terms · ε · Σ |x w|.
/// Minimal filtering mixes a tile's sums, so the largest of them bounds each.
fn check(p: &Problem, seed: u64) {
    let [x, w, gy] = operands(p, seed);
    let [xs, ws, gs] = [x.to_vec(), w.to_vec(), gy.to_vec()];
    let exact = p.naive(&xs, &ws, &gs);
    let size = |v: &[f64]| v.iter().map(|v| v.abs()).collect::<Vec<_>>();
    let sizes = p.naive(&size(&xs), &size(&ws), &size(&gs));
    for algorithm in [ConvAlgorithm::Fastest, ConvAlgorithm::Direct] {
        let p = Problem { o: p.o.algorithm(algorithm), ..*p };
        let sizes = sizes.clone().map(|sizes| match algorithm {
            ConvAlgorithm::Direct => sizes,
            ConvAlgorithm::Fastest => vec![sizes.iter().copied().fold(0.0, f64::max); sizes.len()],
        });
        assert_near(&p, &exact, &sizes, computed(&p, &x, &w, &gy));
        assert_near(&p, &exact, &sizes, computed(&p, &x.cast::<f32>(), &w.cast(), &gy.cast()));
    }
}

fn assert_near<T: Float>(p: &Problem, exact: &[Vec<f64>; 3], sizes: &[Vec<f64>; 3], results: [Tensor<T>; 3]) {
    let terms = [p.w[1..].iter().product(), p.w[0] * p.w[2] * p.w[3], p.x[0] * p.y()[2] * p.y()[3]].map(|n: usize| n as f64);
    for (which, shape) in [p.y(), p.x, p.w].into_iter().enumerate() {
        assert_eq!(results[which].shape()[..], shape, "{which}");
        for (i, (&v, r)) in exact[which].iter().zip(results[which].to_vec()).enumerate() {
            let bound = (terms[which] + 2.0) * sizes[which][i] * T::EPSILON.to_f64();
            assert!((r.to_f64() - v).abs() <= bound, "result {which} of {p:?} at {i}: {r} for {v}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn all_three_are_their_defining_sums(p in problems(), seed: u64) {
        check(&p, seed);
    }

    #[test]
    fn the_gradients_are_adjoint_to_the_convolution(p in problems(), seed: u64) {
        let [x, w, gy] = operands(&p, seed);
        let [y, gx, gw] = computed(&p, &x, &w, &gy);
        let bound = 1e-12 * (1.0 + dot(&x.abs().conv2d(&w.abs(), p.o), &gy.abs()));
        prop_assert!((dot(&gy, &y) - dot(&gx, &x)).abs() < bound);
        prop_assert!((dot(&gy, &y) - dot(&gw, &w)).abs() < bound);
    }

    #[test]
    fn same_padding_keeps_the_size_by_the_stride(size in [1usize..30, 1..30], kernel in [1usize..6, 1..6], stride in [1usize..4, 1..4], dilation in [1usize..4, 1..4]) {
        let o = Conv2dOptions::default().stride(stride).dilation(dilation).same(size, kernel);
        let y = conv2d_shape(&[1, 1, size[0], size[1]], &[1, 1, kernel[0], kernel[1]], &o).unwrap();
        prop_assert_eq!(&y[2..], &[size[0].div_ceil(stride[0]), size[1].div_ceil(stride[1])]);
        for [before, after] in o.padding {
            prop_assert!(after == before || after == before + 1);
        }
    }
}

fn simple(x: [usize; 4], w: [usize; 4], padding: usize, stride: usize, groups: usize) -> Problem {
    let o = Conv2dOptions::default().stride([stride; 2]).padding([[padding; 2]; 2]).groups(groups);
    Problem { x, w, o }
}

/// Sizes at which every kernel runs over whole blocks, and over what is left beside them.
fn larger() -> Vec<Problem> {
    vec![
        simple([9, 1, 28, 28], [20, 1, 5, 5], 2, 1, 1),
        simple([3, 20, 14, 14], [50, 20, 5, 5], 2, 1, 1),
        simple([1, 16, 33, 29], [24, 16, 3, 3], 1, 1, 1),
        simple([5, 12, 17, 19], [18, 12, 3, 3], 1, 2, 1),
        simple([11, 12, 9, 13], [36, 4, 3, 3], 1, 1, 3),
        simple([10, 24, 19, 35], [24, 1, 3, 3], 1, 1, 24),
        simple([2, 40, 13, 13], [70, 40, 1, 1], 0, 1, 1),
        simple([2, 30, 7, 7], [33, 30, 7, 7], 0, 1, 1),
        simple([4, 3, 23, 40], [7, 3, 7, 7], 3, 2, 1),
        // For few channels, on either side, with taps that meet no pixel and pictures in parts of rows.
        simple([1, 2, 41, 15], [15, 2, 4, 3], 0, 1, 1),
        simple([9, 4, 7, 33], [3, 4, 5, 5], 6, 1, 1),
        simple([3, 2, 5, 16], [29, 2, 1, 9], 4, 1, 1),
        // For depthwise filters of either size, rows of less than a vector, and of several; a large plane.
        simple([3, 5, 9, 50], [5, 1, 5, 5], 2, 1, 5),
        simple([2, 3, 6, 7], [3, 1, 5, 5], 4, 1, 3),
        simple([2, 3, 1, 16], [3, 1, 3, 3], 1, 1, 3),
        simple([2, 2, 66, 67], [2, 1, 3, 3], 1, 1, 2),
        simple([3, 11, 8, 19], [11, 1, 5, 5], 3, 1, 11),
        // For depthwise filters of any other kind: large kernels, strides above the kernel and of every vectors' case, dilation, strips of
        // a large plane, sums over images in parts, rows of one pixel more and less than a vector.
        simple([2, 18, 28, 28], [18, 1, 7, 7], 3, 1, 18),
        simple([3, 3, 57, 56], [3, 1, 3, 3], 1, 2, 3),
        simple([2, 2, 33, 31], [2, 1, 5, 5], 2, 2, 2),
        simple([9, 1, 17, 66], [1, 1, 7, 7], 3, 2, 1),
        simple([2, 3, 20, 35], [3, 1, 2, 2], 0, 3, 3),
        simple([1, 2, 190, 90], [2, 1, 9, 9], 4, 1, 2),
        simple([2, 2, 3, 4], [2, 1, 9, 9], 5, 2, 2),
        Problem {
            o: simple([2, 4, 1, 500], [4, 1, 1, 31], 0, 1, 4).o.padding([[0, 0], [15, 15]]),
            ..simple([2, 4, 1, 500], [4, 1, 1, 31], 0, 1, 4)
        },
        Problem {
            o: simple([2, 3, 21, 30], [3, 1, 3, 5], 4, 1, 3).o.dilation([2, 3]),
            ..simple([2, 3, 21, 30], [3, 1, 3, 5], 4, 1, 3)
        },
        // For implicit products: patches of several blocks, tasks that share them, images smaller than a panel, few and many columns,
        // groups of several kinds, parts of the filters' gradient, and strides that are parted, interleaved or neither.
        simple([3, 160, 6, 5], [40, 160, 3, 3], 1, 2, 1),
        simple([1, 40, 5, 5], [300, 40, 4, 4], 2, 2, 1),
        simple([40, 14, 2, 2], [30, 14, 3, 3], 1, 1, 1),
        simple([2, 8, 40, 41], [16, 8, 2, 2], 0, 2, 1),
        simple([3, 60, 7, 9], [24, 10, 3, 3], 1, 3, 6),
        simple([7, 16, 11, 17], [24, 2, 3, 3], 1, 1, 8),
        simple([2, 3, 65, 66], [8, 3, 7, 7], 3, 2, 1),
        simple([3, 130, 9, 8], [70, 130, 1, 1], 0, 1, 1),
        simple([3, 20, 9, 8], [35, 20, 1, 1], 0, 2, 1),
        simple([2, 1100, 3, 3], [7, 1100, 1, 1], 1, 1, 1),
        // For minimal filtering: vectors of channels and filters whole and not, one tile across and several, tiles that reach
        // over the edge, blocks that threads share and blocks that they do not.
        simple([3, 12, 17, 19], [13, 12, 3, 3], 1, 1, 1),
        simple([40, 12, 4, 4], [12, 12, 3, 3], 1, 1, 1),
        simple([6, 40, 8, 8], [70, 40, 3, 3], 1, 1, 1),
        simple([1, 110, 18, 19], [100, 110, 3, 3], 1, 1, 1),
        simple([5, 20, 13, 9], [17, 20, 5, 5], 4, 1, 1),
        simple([7, 33, 6, 50], [14, 33, 5, 5], 0, 1, 1),
    ]
}

#[test]
fn larger_problems_are_their_defining_sums() {
    larger().iter().zip(0..).for_each(|(p, seed)| check(p, seed));
}

#[test]
fn thread_counts_do_not_change_a_bit() {
    for (p, seed) in larger().iter().zip(0..) {
        let [x, w, gy] = operands(p, seed).map(|t| t.cast::<f32>());
        let on = |threads| on_threads(threads, || computed(p, &x, &w, &gy).map(|t| t.map(|v| v.to_bits() as i32)));
        assert!(on(1) == on(3), "{p:?}");
    }
}

#[test]
fn a_worked_example() {
    let x = Tensor::<f64>::from([[1., 2., 3., 0.], [0., 1., 2., 3.], [3., 0., 1., 2.], [2., 3., 0., 1.]]).reshape([1, 1, 4, 4]);
    let w = Tensor::from([[2., 0., 1.], [0., 1., 2.], [1., 0., 2.]]).reshape([1, 1, 3, 3]);
    assert_eq!(x.conv2d(&w, Conv2dOptions::default()).to_vec(), [15., 16., 6., 15.]);
    let padded = Conv2dOptions::default().padding([[1, 1], [1, 1]]);
    let expected = [7., 12., 10., 2., 4., 15., 16., 10., 10., 6., 15., 6., 8., 10., 4., 3.];
    assert_eq!(x.conv2d(&w, padded).to_vec(), expected);
}

#[test]
fn an_output_that_no_pixel_reaches_is_zero() {
    let p = simple([1, 1, 1, 1], [1, 1, 1, 1], 3, 2, 1);
    let one = Tensor::<f32>::ones([1, 1, 1, 1]);
    assert_eq!(one.conv2d(&one, p.o), Tensor::zeros([1, 1, 4, 4]));
    assert_eq!(Tensor::ones([1, 1, 4, 4]).conv2d_input_grad(&one, p.x, p.o), Tensor::zeros(p.x));
    assert_eq!(one.conv2d_weight_grad(&Tensor::ones([1, 1, 4, 4]), p.w, p.o), Tensor::zeros(p.w));
}

/// What is not finite reaches the outputs that see it, and no others, whatever the kernel.
#[test]
fn what_is_not_finite_reaches_those_who_see_it() {
    let problems = [
        simple([1, 2, 9, 20], [2, 1, 7, 7], 3, 1, 2),
        simple([1, 2, 9, 21], [2, 1, 3, 3], 1, 2, 2),
        simple([2, 8, 7, 7], [6, 8, 3, 3], 1, 2, 1),
        simple([2, 6, 7, 19], [6, 3, 3, 3], 2, 1, 2),
        simple([3, 5, 5, 5], [4, 5, 1, 1], 0, 1, 1),
        simple([2, 9, 6, 6], [7, 9, 4, 4], 1, 2, 1),
    ];
    for (p, seed) in problems.iter().zip(0..) {
        let [x, w, gy] = operands(p, seed).map(|t| t.to_vec());
        for value in [f64::NAN, f64::INFINITY] {
            let spoilt = |v: &[f64], seed: u64| {
                let mut v = v.to_vec();
                let at = Rng::seed(seed).below(v.len());
                v[at] = value;
                v
            };
            // Padding is zeros, which are multiplied too: so the gradient is spoilt only where there is none.
            let [y, _, gw] = p.naive(&spoilt(&x, seed), &w, &gy);
            let [_, gx, _] = p.naive(&x, &w, &spoilt(&gy, seed));
            let exact = [y, gx, gw];
            let of = |v: &[f64], shape: [usize; 4]| Tensor::from_vec(v.to_vec(), shape);
            let (weights, clean, bad) = (of(&w, p.w), of(&gy, p.y()), of(&spoilt(&gy, seed), p.y()));
            let x = of(&spoilt(&x, seed), p.x);
            let o = p.o.algorithm(ConvAlgorithm::Direct);
            let found = [x.conv2d(&weights, o), bad.conv2d_input_grad(&weights, p.x, o), x.conv2d_weight_grad(&clean, p.w, o)];
            for (which, (exact, found)) in exact.iter().zip(found).enumerate() {
                for (i, (e, f)) in exact.iter().zip(found.to_vec()).enumerate() {
                    let same =
                        if e.is_finite() { (e - f).abs() < 1e-9 } else { e.is_nan() == f.is_nan() && (e.is_nan() || *e == f) };
                    assert!(same, "result {which} of {p:?} at {i}: {f} for {e}");
                }
            }
        }
    }
}

#[test]
fn sizes_of_zero_give_zeros_or_nothing() {
    let shapes = [
        ([0, 2, 5, 5], [4, 2, 3, 3], 1),
        ([2, 0, 5, 5], [4, 0, 3, 3], 1),
        ([2, 2, 5, 5], [0, 2, 3, 3], 1),
        ([2, 2, 0, 5], [4, 2, 3, 3], 1),
        ([2, 2, 5, 0], [2, 1, 3, 3], 2),
        ([0, 2, 5, 5], [2, 1, 3, 3], 2),
    ];
    for (x, w, groups) in shapes {
        let p = simple(x, w, 2, 1, groups);
        let [y, gx, gw] = computed(&p, &Tensor::<f64>::ones(x), &Tensor::ones(w), &Tensor::ones(p.y()));
        let empty = x.contains(&0);
        for (t, shape) in [(y, p.y()), (gx, x), (gw, w)] {
            assert_eq!(t.shape()[..], shape);
            assert!(!empty || t.to_vec().iter().all(|&v| v == 0.0), "{p:?}");
        }
    }
}

#[test]
fn mistakes_are_named_with_shapes_and_what_fits() {
    let error = |x: &[usize], w: &[usize], o: Conv2dOptions| conv2d_shape(x, w, &o).unwrap_err().to_string();
    let o = Conv2dOptions::default();
    assert_eq!(
        error(&[1, 3, 8, 8], &[4, 2, 3, 3], o),
        "conv2d: input [1, 3, 8, 8] has 3 channels, filters [4, 2, 3, 3] in 1 group(s) take 2; filters [F, 3, 3, 3] would fit"
    );
    assert_eq!(
        error(&[1, 4, 8, 8], &[4, 2, 3, 3], o.groups(3)),
        "conv2d: 4 channels of input [1, 4, 8, 8] and 4 filters [4, 2, 3, 3] in 3 groups: both numbers must divide by the groups"
    );
    assert_eq!(
        error(&[1, 1, 8, 4], &[1, 1, 3, 3], o.dilation([1, 3]).padding([[0, 0], [1, 0]])),
        "conv2d: input [1, 1, 8, 4] and filters [1, 1, 3, 3]: a window of 7 columns is larger than 4 columns with padding [1, 0]"
    );
    assert_eq!(
        error(&[1, 1, 8, 8], &[1, 1, 3, 3], o.stride([0, 1])),
        "conv2d: input [1, 1, 8, 8] and filters [1, 1, 3, 3]: kernel 3, stride 0, dilation 1 along the rows; each must be 1 or more"
    );
    assert!(error(&[1, 8, 8], &[1, 1, 3, 3], o).contains("wanted [N, C, H, W] and [F, C / groups, KH, KW]"));
    assert!(error(&[1, 1, 8, 8], &[1, 1, 3, 3], o.padding([[usize::MAX, 1], [0, 0]])).contains("too large"));
    let (x, w) = (Tensor::<f32>::ones([1, 1, 8, 8]), Tensor::ones([1, 1, 3, 3]));
    let message = panic_of(|| x.conv2d_input_grad(&w, [1, 1, 8, 8], o));
    assert!(message.starts_with("conv2d_input_grad at ") && message.contains("tests/suite/conv.rs"), "{message}");
    assert!(message.ends_with("the gradient has shape [1, 1, 8, 8], the convolution's result [1, 1, 6, 6]"), "{message}");
}
