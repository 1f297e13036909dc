//! Pooling against its definition, over shapes, options, views and numbers of threads.

use crate::common::{on_threads, panic_of};
use crate::layouts::{integers, reals, view};
use gradus_tensor::{Pool2dOptions, Rng, Tensor, pool2d_shape};
use proptest::prelude::*;

fn shape_of(x: [usize; 4], o: &Pool2dOptions) -> [usize; 4] {
    pool2d_shape(&x, o).unwrap()[..].try_into().unwrap()
}

/// For each output, in order: the pixels of its window as places in the whole input, and how many elements the window
/// has with those that lie in the padding.
fn windows(x: [usize; 4], o: &Pool2dOptions) -> Vec<(Vec<usize>, usize)> {
    let [batch, channels, height, width] = x;
    let [_, _, oh, ow] = shape_of(x, o);
    let along = |i: usize, axis: usize, size: usize| {
        let places = (0..o.kernel[axis]).map(|t| i * o.stride[axis] + t * o.dilation[axis]);
        let counted = places.clone().filter(|p| *p < size + o.padding[axis][0] + o.padding[axis][1]).count();
        let inside = places.filter_map(|p| p.checked_sub(o.padding[axis][0]).filter(|&p| p < size)).collect::<Vec<_>>();
        (inside, counted)
    };
    let mut all = vec![];
    for plane in 0..batch * channels {
        for i in 0..oh {
            for j in 0..ow {
                let ((rows, down), (cols, across)) = (along(i, 0, height), along(j, 1, width));
                let places = rows.iter().flat_map(|r| cols.iter().map(move |c| (plane * height + r) * width + c));
                all.push((places.collect(), down * across));
            }
        }
    }
    all
}

/// The largest of each window and where it is in its plane: the first NaN, or the first of the largest.
fn naive_max(x: &[f64], shape: [usize; 4], o: &Pool2dOptions) -> (Vec<f64>, Vec<i32>) {
    let of = |(places, _): (Vec<usize>, usize)| {
        let largest = places.iter().map(|&p| x[p]).fold(f64::NEG_INFINITY, f64::max);
        let place = places.iter().find(|&&p| x[p].is_nan()).or_else(|| places.iter().find(|&&p| x[p] == largest)).unwrap();
        (x[*place], (place % (shape[2] * shape[3])) as i32)
    };
    windows(shape, o).into_iter().map(of).unzip()
}

/// Sizes along one axis: kernel, stride, dilation, padding, size.
fn axes() -> impl Strategy<Value = (usize, usize, usize, [usize; 2], usize)> {
    let any = (1usize..5, 1usize..5, 1usize..4, [0usize..3, 0usize..3], 0usize..40);
    any.prop_map(|(k, s, d, p, more)| {
        let (p, reach) = (p.map(|p| p.min(k / 2)), d * (k - 1) + 1);
        (k, s, d, p, reach.saturating_sub(p[0] + p[1]).max(1) + more)
    })
}

fn problems(dilated: bool) -> impl Strategy<Value = ([usize; 4], Pool2dOptions)> {
    let spread = (0usize..4, 1usize..4, axes(), axes(), any::<bool>(), any::<bool>());
    let any = spread.prop_map(move |(n, c, (kh, sh, dh, ph, height), (kw, sw, dw, pw, width), ceil_mode, count_include_pad)| {
        let dilation = if dilated { [dh, dw] } else { [1, 1] };
        let o = Pool2dOptions { kernel: [kh, kw], stride: [sh, sw], padding: [ph, pw], dilation, ceil_mode, count_include_pad };
        ([n, c, height, width], o)
    });
    any.prop_filter("a window sees only padding", |(shape, o)| pool2d_shape(shape, o).is_ok())
}

fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
    a.to_vec().iter().zip(b.to_vec()).map(|(a, b)| a * b).sum()
}

/// Numbers with many ties, infinities and, where asked for, NaN among them.
fn rough(rng: &mut Rng, shape: &[usize], nan: bool) -> Tensor<f64> {
    view(rng, shape, |rng| match rng.below(12) {
        0 => f64::NEG_INFINITY,
        1 if nan => f64::NAN,
        _ => rng.below(5) as f64 - 2.0,
    })
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
}

fn check_max(x: &Tensor<f64>, shape: [usize; 4], o: Pool2dOptions) {
    let (y, index) = x.max_pool2d_with_indices(o);
    let (largest, places) = naive_max(&x.to_vec(), shape, &o);
    assert_eq!(y.shape()[..], shape_of(shape, &o));
    assert!(same_bits(&y.to_vec(), &largest), "{shape:?} {o:?}");
    assert_eq!(index.to_vec(), places, "{shape:?} {o:?}");
    let (y32, index32) = x.cast::<f32>().max_pool2d_with_indices(o);
    assert!(same_bits(&y32.cast::<f64>().to_vec(), &largest) && index32 == index, "{shape:?} {o:?} in f32");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn max_is_the_first_largest_of_each_window((shape, o) in problems(true), nan: bool, seed: u64) {
        check_max(&rough(&mut Rng::seed(seed), &shape, nan), shape, o);
    }

    #[test]
    fn max_over_windows_side_by_side(n in 0usize..4, c in 1usize..4, size in [2usize..70, 2..70], seed: u64) {
        let shape = [n, c, size[0], size[1]];
        check_max(&rough(&mut Rng::seed(seed), &shape, true), shape, Pool2dOptions::new(2));
    }

    #[test]
    fn average_and_its_gradient_are_their_definitions((shape, o) in problems(false), seed: u64) {
        let rng = &mut Rng::seed(seed);
        let x = reals(rng, &shape);
        let gy = reals(rng, &shape_of(shape, &o));
        let (xs, gys) = (x.to_vec(), gy.to_vec());
        let mut gx = vec![0.0; xs.len()];
        let mut y = vec![];
        for ((places, counted), g) in windows(shape, &o).into_iter().zip(gys) {
            let n = if o.count_include_pad { counted } else { places.len() } as f64;
            y.push(places.iter().map(|&p| xs[p]).sum::<f64>() / n);
            places.iter().for_each(|&p| gx[p] += g / n);
        }
        let close = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14 * 64.0);
        let (mean, grad) = (x.avg_pool2d(o), gy.avg_pool2d_grad(shape, o));
        prop_assert!(close(&mean.to_vec(), &y));
        prop_assert!(close(&grad.to_vec(), &gx));
        prop_assert!((dot(&mean, &gy) - dot(&x, &grad)).abs() < 1e-11);
    }

    #[test]
    fn scatter_and_gather_are_adjoint((shape, o) in problems(true), seed: u64) {
        let rng = &mut Rng::seed(seed);
        let x = reals(rng, &shape);
        let (y, index) = x.max_pool2d_with_indices(o);
        prop_assert_eq!(x.pool_gather(&index), y);
        let gy = reals(rng, index.shape());
        let gx = gy.pool_scatter(&index, shape);
        prop_assert!((dot(&x.pool_gather(&index), &gy) - dot(&x, &gx)).abs() < 1e-11);
        let mut naive = vec![0.0; x.numel()];
        let planes = index.shape()[2] * index.shape()[3];
        for (k, (g, i)) in gy.to_vec().into_iter().zip(index.to_vec()).enumerate() {
            naive[k / planes * shape[2] * shape[3] + i as usize] += g;
        }
        prop_assert_eq!(gx.to_vec(), naive);
    }
}

/// Places in planes of more pixels than an `f32` can count.
#[test]
fn maxima_of_a_huge_plane_have_their_places() {
    let n = (1 << 23) + 100;
    let x = Tensor::<f32>::uniform([1, 1, 1, n], 0.0, 1.0, &mut Rng::seed(0));
    let (y, index) = x.max_pool2d_with_indices(Pool2dOptions::rectangle([1, 5]).stride([1, 4]));
    let (x, y, index) = (x.to_vec(), y.to_vec(), index.to_vec());
    for (i, (&v, &at)) in y.iter().zip(&index).enumerate() {
        let window = &x[4 * i..4 * i + 5];
        let largest = window.iter().copied().fold(f32::MIN, f32::max);
        assert!(v == largest && at as usize == 4 * i + window.iter().position(|&w| w == largest).unwrap(), "{v} at {at} of {i}");
    }
}

#[test]
fn thread_counts_do_not_change_a_bit() {
    let rng = &mut Rng::seed(0);
    let x = Tensor::<f32>::normal([5, 6, 33, 31], 0.0, 1.0, rng);
    let halves = Pool2dOptions::new(2);
    for o in [halves, Pool2dOptions::new(3).stride([2, 2]).padding([[1, 1], [1, 1]]), Pool2dOptions::new(3).stride([1, 1])] {
        let all = || {
            let (y, index) = x.max_pool2d_with_indices(o);
            let gx = y.pool_scatter(&index, x.shape());
            [y.clone(), gx, x.avg_pool2d(o), y.avg_pool2d_grad(x.shape(), o)].map(|t| t.map(|v| v.to_bits() as i32))
        };
        assert!(on_threads(1, all) == on_threads(3, all), "{o:?}");
    }
}

#[test]
fn a_pixel_under_many_windows_gets_every_share() {
    let x = Tensor::<f64>::from([[0., 0., 0.], [0., 9., 0.], [0., 0., 0.]]).reshape([1, 1, 3, 3]);
    let o = Pool2dOptions::new(2).stride([1, 1]);
    let (y, index) = x.max_pool2d_with_indices(o);
    assert_eq!((y.to_vec(), index.to_vec()), (vec![9.0; 4], vec![4; 4]));
    let gy = Tensor::from([[1., 2.], [3., 4.]]).reshape([1, 1, 2, 2]);
    assert_eq!(gy.pool_scatter(&index, [1, 1, 3, 3]).to_vec(), [0., 0., 0., 0., 10., 0., 0., 0., 0.]);
    assert_eq!(gy.avg_pool2d_grad([1, 1, 3, 3], o).to_vec(), [0.25, 0.75, 0.5, 1., 2.5, 1.5, 0.75, 1.75, 1.]);
}

/// The sizes that PyTorch's formula gives.
#[test]
fn ceil_mode_counts_windows_as_pytorch_does() {
    let along = |size: usize, kernel: usize, stride: usize, padding: usize, ceil_mode: bool| {
        let o = Pool2dOptions { ceil_mode, ..Pool2dOptions::new(kernel) };
        let o = o.stride([stride; 2]).padding([[padding; 2]; 2]);
        pool2d_shape(&[1, 1, size, size], &o).map(|y| y[2])
    };
    assert_eq!(along(5, 2, 2, 0, false), Ok(2));
    assert_eq!(along(5, 2, 2, 0, true), Ok(3));
    assert_eq!(along(4, 2, 2, 1, true), Ok(3));
    assert_eq!(along(3, 2, 3, 1, true), Ok(2));
    // The last window would start in the padding, and is left out.
    assert_eq!(along(3, 2, 2, 1, true), Ok(2));
    assert_eq!(along(1, 1, 3, 0, true), Ok(1));
    // A window larger than the picture, which ceil mode admits when a stride less one makes up for it.
    assert_eq!(along(2, 3, 2, 0, true), Ok(1));
    assert!(along(2, 3, 2, 0, false).is_err());
    assert!(along(2, 4, 2, 0, true).is_err());
    let o = Pool2dOptions { ceil_mode: true, ..Pool2dOptions::new(3).stride([2, 2]) };
    let x = Tensor::<f64>::from([[1., 2.], [3., 6.]]).reshape([1, 1, 2, 2]);
    assert_eq!(x.max_pool2d(o).to_vec(), [6.0]);
    assert_eq!(x.avg_pool2d(o).to_vec(), [3.0]);
}

#[test]
fn mistakes_are_named_with_shapes_and_what_fits() {
    let error = |x: &[usize], o: Pool2dOptions| pool2d_shape(x, &o).unwrap_err().to_string();
    let o = Pool2dOptions::new(3);
    assert_eq!(
        error(&[1, 1, 2, 4], o),
        "pool2d: input [1, 1, 2, 4]: a window of 3 rows is larger than 2 rows with padding [0, 0]"
    );
    assert_eq!(
        error(&[1, 1, 4, 4], o.padding([[0, 0], [2, 0]])),
        "pool2d: input [1, 1, 4, 4]: padding [2, 0] of the columns; at most half of the window of 3 is allowed"
    );
    let gap = Pool2dOptions { dilation: [2, 1], ..Pool2dOptions::new(2).padding([[1, 1], [0, 0]]) };
    assert_eq!(error(&[1, 1, 1, 4], gap), "pool2d: input [1, 1, 1, 4]: a window of rows sees nothing but padding");
    assert!(error(&[1, 1, 0, 4], Pool2dOptions::new(2).padding([[1, 1], [0, 0]])).contains("0 rows"));
    assert!(error(&[1, 4, 4], o).contains("wanted [N, C, H, W]"));
    assert!(error(&[1, 1, 4, 4], o.stride([1, 0])).contains("each must be 1 or more"));
    let x = Tensor::<f32>::ones([1, 1, 4, 4]);
    let message = panic_of(|| x.avg_pool2d(Pool2dOptions { dilation: [1, 2], ..Pool2dOptions::new(2) }));
    assert!(message.starts_with("avg_pool2d at ") && message.contains("tests/suite/pool.rs"), "{message}");
    for index in [16, -1] {
        let index = Tensor::from([[[[index]]]]);
        assert!(panic_of(|| x.pool_gather(&index)).contains("outside a plane of 16 pixels"));
        let gy = Tensor::<f32>::ones([1, 1, 1, 1]);
        assert!(panic_of(|| gy.pool_scatter(&index, [1, 1, 4, 4])).contains("outside a plane of 16 pixels"));
    }
    let index = integers(&mut Rng::seed(0), &[1, 2, 2, 2]).cast::<i32>();
    assert!(panic_of(|| x.pool_gather(&index)).contains("wanted [N, C, H, W]"));
    assert!(panic_of(|| x.avg_pool2d_grad([1, 1, 5, 5], Pool2dOptions::new(2))).contains("[1, 1, 2, 2]"));
}
