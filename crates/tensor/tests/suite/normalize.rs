//! Normalisation against its definition in plain loops over `f64`, on every shape that kernels treat in a way of its own.

use gradus_tensor::{Float, Normalization, Over, Rng, Tensor};

/// Values and gradients by the definition.
struct Expected {
    y: Vec<f64>,
    mean: Vec<f64>,
    variance: Vec<f64>,
    /// For input, weight and bias.
    grads: [Vec<f64>; 3],
}

/// The statistic and the weight of each element of a row-major tensor.
fn places(shape: &[usize], over: Over) -> Vec<(usize, usize)> {
    let inner: usize = shape.get(2..).unwrap_or_default().iter().product();
    let place = |i: usize| match over {
        Over::Batch => (i / inner % shape[1], i / inner % shape[1]),
        Over::Groups(groups) => (i / (inner * shape[1] / groups), i / inner % shape[1]),
        Over::Last(axes) => {
            let n: usize = shape[shape.len() - axes..].iter().product();
            (i / n, i % n)
        }
    };
    (0..shape.iter().product()).map(place).collect()
}

/// The sum of `f(i)` of each statistic, over how many elements it has if `mean`.
fn each(places: &[(usize, usize)], mean: bool, f: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); places.iter().map(|p| p.0 + 1).max().unwrap_or(0)];
    places.iter().enumerate().for_each(|(i, p)| sums[p.0] = (sums[p.0].0 + f(i), sums[p.0].1 + 1.0));
    sums.into_iter().map(|(sum, n)| if mean { sum / n } else { sum }).collect()
}

fn define(shape: &[usize], [x, w, b, gy]: [&[f64]; 4], n: &Normalization) -> Expected {
    let places = places(shape, n.over);
    let of = |i: usize| places[i].0;
    let mean = each(&places, true, |i| if n.centred { x[i] } else { 0.0 });
    let variance = each(&places, true, |i| (x[i] - mean[of(i)]).powi(2));
    let scale: Vec<f64> = variance.iter().map(|v| (v + n.eps).sqrt().recip()).collect();
    let hat: Vec<f64> = (0..x.len()).map(|i| (x[i] - mean[of(i)]) * scale[of(i)]).collect();
    let y = (0..x.len()).map(|i| hat[i] * w[places[i].1] + b[places[i].1]).collect();
    let g: Vec<f64> = (0..x.len()).map(|i| gy[i] * w[places[i].1]).collect();
    let plain = each(&places, true, |i| if n.centred { g[i] } else { 0.0 });
    let along = each(&places, true, |i| g[i] * hat[i]);
    let dx = (0..x.len()).map(|i| (g[i] - plain[of(i)] - hat[i] * along[of(i)]) * scale[of(i)]).collect();
    let by_weight: Vec<_> = places.iter().map(|p| (p.1, 0)).collect();
    let (mut dw, mut db) = (each(&by_weight, false, |i| gy[i] * hat[i]), each(&by_weight, false, |i| gy[i]));
    dw.resize(w.len(), 0.0);
    db.resize(w.len(), 0.0);
    Expected { y, mean, variance, grads: [dx, dw, db] }
}

/// Compares by the largest size of all that is expected.
fn is_near<T: Float>(what: &str, found: &Tensor<T>, expected: &[f64], tolerance: f64) {
    let size = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    assert_eq!(found.numel(), expected.len(), "{what}");
    for (i, (&found, &expected)) in found.to_vec().iter().zip(expected).enumerate() {
        let off = (found.to_f64() - expected).abs() / size;
        assert!(off <= tolerance || (found.is_nan() && expected.is_nan()), "{what}, element {i}: {found:?}, not {expected}");
    }
}

/// The same elements as views that no kernel reads as they lie: every other of more, and with axis 1 or the last axes innermost.
fn layouts<T: Float>(x: &Tensor<T>) -> Vec<Tensor<T>> {
    let order: Vec<usize> = [0].into_iter().chain(2..x.rank()).chain([1]).take(x.rank()).collect();
    let mut inverse = order.clone();
    order.iter().enumerate().for_each(|(i, &axis)| inverse[axis] = i);
    let doubled = Tensor::stack(&[x, x], x.rank() as isize);
    vec![x.clone(), x.permute(&order[..]).contiguous().permute(&inverse[..]), doubled.select(-1, 1)]
}

fn agrees<T: Float>(shape: &[usize], n: Normalization, rng: &mut Rng) {
    // Far from 0, so that a mean that is subtracted late would show.
    let x = Tensor::<T>::normal(shape, 3.0, 2.0, rng);
    let channels = match n.over {
        Over::Last(axes) => shape[shape.len() - axes..].iter().product(),
        _ => shape[1],
    };
    let [w, b] = [0, 1].map(|_| Tensor::<T>::uniform([channels], 0.5, 2.0, rng));
    let gy = Tensor::<T>::normal(shape, 0.5, 1.0, rng);
    let values = [&x, &w, &b, &gy].map(|t| t.cast::<f64>().to_vec());
    let expected = define(shape, values.each_ref().map(|v| &v[..]), &n);
    // The definition's own sums round, too.
    let eps = T::EPSILON.to_f64().max(1e-14);
    // Sums over as many elements, of any sign.
    let summed = (x.numel() / channels.max(1)) as f64;
    let steep = expected.variance.iter().map(|v| (v + n.eps).sqrt().recip()).fold(1.0, f64::max);
    let mut first: Option<Vec<Tensor<T>>> = None;
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        for x in layouts(&x) {
            let (y, statistics, grads) = pool.install(|| {
                let (y, statistics) = x.normalize(&n, Some(&w), Some(&b));
                let grads = x.normalize_grad(&n, Some(&w), &statistics, &gy);
                (y, statistics, grads)
            });
            let what = format!("{n:?} of {shape:?}, strides {:?}, {threads} threads", x.strides());
            is_near(&format!("y, {what}"), &y, &expected.y, 20.0 * eps);
            is_near(&format!("mean, {what}"), &statistics.mean, &expected.mean, 4.0 * eps);
            is_near(&format!("variance, {what}"), &statistics.variance, &expected.variance, 20.0 * eps);
            for (name, (found, expected)) in ["dx", "dw", "db"].iter().zip(grads.iter().zip(&expected.grads)) {
                is_near(&format!("{name}, {what}"), found, expected, (60.0 * steep + summed) * eps);
            }
            let [dx, dw, db] = grads;
            let all = vec![y, statistics.mean, statistics.variance, dx, dw, db];
            if threads == 1 && x.is_contiguous() {
                first = Some(all);
            } else if x.is_contiguous() {
                let bits = |t: &Tensor<T>| t.to_vec().into_iter().map(|v| v.to_f64().to_bits()).collect::<Vec<_>>();
                for (a, b) in first.iter().flatten().zip(&all) {
                    assert_eq!(bits(a), bits(b), "on any number of threads: {what}");
                }
            }
        }
    }
}

fn agree(over: fn(usize) -> Over, shapes: &[&[usize]]) {
    let mut rng = Rng::seed(5);
    for (i, shape) in shapes.iter().enumerate() {
        let n = Normalization::over(over(i)).eps([1e-5, 0.1][i % 2]);
        agrees::<f32>(shape, n, &mut rng);
        agrees::<f64>(shape, n, &mut rng);
        agrees::<f32>(shape, n.root_mean_square(), &mut rng);
    }
}

#[test]
fn batches_agree() {
    agree(
        |_| Over::Batch,
        &[
            // Columns: vectors of channels, of places of a channel, and both; with and without a remainder.
            &[2, 1],
            &[5, 3],
            &[65, 64],
            &[130, 17],
            &[64, 128],
            &[3, 700],
            &[1000, 80],
            &[7, 5, 1],
            &[9, 33, 2],
            &[70, 13, 7, 7],
            &[2, 9, 63],
            // Planes, with pieces of long ones, and few channels shared among threads.
            &[3, 5, 64],
            &[4, 3, 65],
            &[2, 2, 79],
            &[33, 17, 8, 9],
            &[2, 3, 5000],
            &[1, 1, 70_001],
            &[3, 20, 47, 31],
        ],
    );
}

#[test]
fn groups_agree() {
    let groups = |i: usize| Over::Groups([1, 2, 3, 4, 6, 12][i % 6]);
    agree(
        groups,
        &[
            &[3, 5],
            &[2, 4, 3],
            &[5, 6, 7],
            &[2, 8, 63],
            &[40, 12, 5],
            &[300, 24, 3, 5], // rows
            &[3, 5, 64],
            &[2, 4, 65],
            &[2, 9, 100],
            &[1, 4, 40_000],
            &[20, 12, 71],
            &[3, 24, 30, 33], // planes
        ],
    );
    // Instances.
    agree(|_| Over::Groups(6), &[&[4, 6, 5], &[4, 6, 100], &[2, 6, 9000]]);
}

#[test]
fn last_axes_agree() {
    agree(
        |_| Over::Last(1),
        &[
            &[4, 1],
            &[3, 2],
            &[5, 15],
            &[5, 16],
            &[7, 17],
            &[2, 3, 33],
            &[129, 64],
            &[300, 257],
            &[2, 8192],
            &[3, 8193],
            &[2, 50_000],
            &[9],
        ],
    );
    agree(|_| Over::Last(2), &[&[6, 3, 5], &[3, 90, 100], &[2, 2, 7, 9], &[4, 5]]);
    agree(|_| Over::Last(0), &[&[3, 2]]);
}

/// By given statistics, whose gradients are constants.
#[test]
fn given_statistics_agree() {
    let mut rng = Rng::seed(3);
    for shape in [&[5, 3][..], &[70, 19], &[4, 5, 7], &[3, 4, 70], &[2, 3, 300, 99], &[1, 2, 1]] {
        let x = Tensor::<f32>::normal(shape, 1.0, 2.0, &mut rng);
        let gy = Tensor::<f32>::normal(shape, 0.0, 1.0, &mut rng);
        let [m, v, w, b] = [0; 4].map(|_| Tensor::<f32>::uniform([shape[1]], 0.5, 2.0, &mut rng));
        let [m64, v64, w64, b64] = [&m, &v, &w, &b].map(|t| t.cast::<f64>().to_vec());
        let (x64, g64, places) = (x.cast::<f64>().to_vec(), gy.cast::<f64>().to_vec(), places(shape, Over::Batch));
        let c = |i: usize| places[i].0;
        let scale: Vec<f64> = v64.iter().map(|v| (v + 0.1).sqrt().recip()).collect();
        let hat: Vec<f64> = (0..x64.len()).map(|i| (x64[i] - m64[c(i)]) * scale[c(i)]).collect();
        let y: Vec<f64> = (0..x64.len()).map(|i| hat[i] * w64[c(i)] + b64[c(i)]).collect();
        let dx: Vec<f64> = (0..x64.len()).map(|i| g64[i] * scale[c(i)] * w64[c(i)]).collect();
        let (dw, db) = (each(&places, false, |i| g64[i] * hat[i]), each(&places, false, |i| g64[i]));
        for x in layouts(&x) {
            is_near("y", &x.normalize_by([&m, &v], 0.1, Some(&w), Some(&b)), &y, 1e-6);
            let grads = x.normalize_by_grad([&m, &v], 0.1, Some(&w), &gy);
            for (found, expected) in grads.iter().zip([&dx, &dw, &db]) {
                is_near("gradient", found, expected, 1e-5);
            }
        }
    }
}

#[test]
fn nothing_to_normalise() {
    for shape in [&[0, 3][..], &[2, 0], &[0, 3, 70], &[2, 3, 0], &[0, 0]] {
        let x = Tensor::<f32>::zeros(shape);
        for over in [Over::Batch, Over::Groups(1), Over::Last(1), Over::Last(2)] {
            let n = Normalization::over(over);
            let (y, statistics) = x.normalize(&n, None, None);
            assert_eq!(y.shape(), x.shape());
            assert!(statistics.mean.to_vec().iter().all(|v| v.is_nan()), "the mean of nothing");
            let [dx, dw, db] = x.normalize_grad(&n, None, &statistics, &x);
            assert_eq!(dx.shape(), x.shape());
            assert!([dw, db].iter().all(|g| g.to_vec().iter().all(|&v| v == 0.0)));
        }
        assert_eq!(x.normalize_by([&Tensor::zeros([shape[1]]), &Tensor::ones([shape[1]])], 0.0, None, None).shape(), x.shape());
    }
}

/// Columns, planes and rows that need a unit of their own beside those that do not.
#[test]
fn every_statistic_has_a_unit_of_its_own() {
    for n in [2, 90] {
        for (shape, over) in [(vec![n, 3], Over::Batch), (vec![1, 3, n], Over::Batch), (vec![3, n], Over::Last(1))] {
            let sizes = [1e-30f64, 2.0, 3e30];
            let places = places(&shape, over);
            let x: Vec<f32> = places
                .iter()
                .enumerate()
                .map(|(i, p)| {
                    let sign = if over == Over::Batch && shape.len() == 2 { i / 3 } else { i } % 2;
                    (sizes[p.0] * [1.0, -1.0][sign]) as f32
                })
                .collect();
            let signs: Vec<f64> = x.iter().map(|v| f64::from(v.signum())).collect();
            let x = Tensor::from(x).reshape(&shape[..]);
            let normalization = Normalization::over(over).eps(0.0);
            let (y, statistics) = x.normalize(&normalization, None, None);
            is_near("y", &y, &signs, 1e-6);
            let gy = Tensor::from_fn(&shape[..], |index| (index[0] + index[1] * 3) as f32 % 5.0);
            let [dx, _, _] = x.normalize_grad(&normalization, None, &statistics, &gy);
            let unit = |i: usize| sizes[places[i].0];
            let plain = Tensor::from(signs.clone()).reshape(&shape[..]);
            let (_, of_signs) = plain.normalize(&normalization, None, None);
            let [expected, _, _] = plain.normalize_grad(&normalization, None, &of_signs, &gy.cast());
            let scaled: Vec<f64> = dx.to_vec().iter().enumerate().map(|(i, &g)| f64::from(g) * unit(i)).collect();
            is_near("dx", &Tensor::from(scaled), &expected.to_vec(), 1e-5);
        }
    }
}

#[test]
#[should_panic(expected = "4 channels do not divide into 3 groups")]
fn groups_that_do_not_divide() {
    Tensor::<f32>::zeros([2, 4]).normalize(&Normalization::over(Over::Groups(3)), None, None);
}

#[test]
#[should_panic(expected = "expected a weight of 4 elements, got shape [3]")]
fn weight_of_another_size() {
    Tensor::<f32>::zeros([2, 4]).normalize(&Normalization::over(Over::Batch), Some(&Tensor::ones([3])), None);
}
