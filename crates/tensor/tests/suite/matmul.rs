//! Matrix products against the defining sum, over shapes, views and numbers of threads.

use crate::common::{indices, on_threads, panic_of};
use crate::layouts::{at, reals, view};
use gradus_tensor::shape::broadcast_shapes;
use gradus_tensor::{Float, Rng, Tensor, matmul_shape};
use proptest::prelude::*;

/// `y[.., i, j] = sum over p of a[.., i, p] b[.., p, j]`, in f64.
fn naive<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> Tensor<f64> {
    let (a, b) = (a.cast::<f64>(), b.cast::<f64>());
    let shape = matmul_shape(a.shape(), b.shape()).unwrap();
    let a2 = if a.rank() == 1 { a.unsqueeze(0) } else { a.clone() };
    let b2 = if b.rank() == 1 { b.unsqueeze(1) } else { b.clone() };
    let (ra, rb) = (a2.rank(), b2.rank());
    let (m, k, n) = (a2.size(-2), a2.size(-1), b2.size(-1));
    let batch = broadcast_shapes("naive", &a2.shape()[..ra - 2], &b2.shape()[..rb - 2]).unwrap();
    let full = |x: usize, y: usize| [&batch[..], &[x, y]].concat();
    let (a2, b2) = (a2.expand(full(m, k)).to_vec(), b2.expand(full(k, n)).to_vec());
    let mut y = vec![];
    for p in 0..batch.numel() {
        for i in 0..m {
            for j in 0..n {
                y.push(sum((0..k).map(|q| a2[(p * m + i) * k + q] * b2[(p * k + q) * n + j])));
            }
        }
    }
    Tensor::from_vec(y, shape)
}

/// A sum with its rounding errors carried along (Kahan 1965), so that none is seen that is not the product's.
fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0, 0.0);
    for v in terms {
        let v = v - lost;
        let next = total + v;
        lost = (next - total) - v;
        total = next;
    }
    total
}

fn assert_close<T: Float>(y: &Tensor<T>, wanted: &Tensor<f64>, terms: usize) {
    assert_eq!(y.shape(), wanted.shape());
    let bound = |w: f64| T::EPSILON.to_f64() * (1.0 + terms as f64) * (4.0 + w.abs());
    for (i, (y, w)) in y.to_vec().into_iter().zip(wanted.to_vec()).enumerate() {
        assert!((y.to_f64() - w).abs() <= bound(w), "element {i}: {y} for {w}");
    }
}

fn check(rng: &mut Rng, a: &[usize], b: &[usize]) {
    let (x, y) = (reals(rng, a), reals(rng, b));
    let k = a[a.len() - 1];
    assert_close(&x.matmul(&y), &naive(&x, &y), k);
    let single = |rng: &mut Rng| rng.below(2001) as f32 / 1000.0 - 1.0;
    let (x, y) = (view(rng, a, single), view(rng, b, single));
    assert_close(&x.matmul(&y), &naive(&x, &y), k);
}

/// A size: 0, 1, small, or past a block of the kernels.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0usize), 3 => Just(1usize), 6 => 2usize..12, 2 => 30usize..70]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn matrices(m in size(), k in size(), n in size(), seed in 0u64..1 << 32) {
        check(&mut Rng::seed(seed), &[m, k], &[k, n]);
    }

    #[test]
    fn dense_layers(rows in prop::collection::vec(size(), 0..3), k in size(), n in size(), seed in 0u64..1 << 32) {
        check_linear(&mut Rng::seed(seed), &rows, k, n);
    }

    #[test]
    fn vectors(m in size(), k in size(), seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        check(&mut rng, &[m, k], &[k]);
        check(&mut rng, &[k], &[k, m]);
        check(&mut rng, &[k], &[k]);
        check(&mut rng, &[3, m, k], &[k]);
        check(&mut rng, &[k], &[3, k, m]);
    }

    #[test]
    fn batches(
        batch in prop::collection::vec((0usize..4, 0usize..3), 0..4),
        dropped in (0usize..3, 0usize..3),
        m in 0usize..6, k in 0usize..6, n in 0usize..6,
        seed in 0u64..1 << 32,
    ) {
        // Each batch axis is shared, or of size 1 on either side; leading ones may be missing on either side.
        let a: Vec<usize> = batch.iter().map(|&(size, one)| if one == 1 { 1 } else { size }).collect();
        let b: Vec<usize> = batch.iter().map(|&(size, one)| if one == 2 { 1 } else { size }).collect();
        let a = [&a[dropped.0.min(a.len())..], &[m, k]].concat();
        let b = [&b[dropped.1.min(b.len())..], &[k, n]].concat();
        check(&mut Rng::seed(seed), &a, &b);
    }
}

/// `x wᵀ + b`, or no less than 0, against the product and the rest in f64; NaN stays.
fn check_linear(rng: &mut Rng, rows: &[usize], k: usize, n: usize) {
    let single = |rng: &mut Rng| rng.below(2001) as f32 / 1000.0 - 1.0;
    let x = view(rng, &[rows, &[k]].concat(), single);
    let (w, b) = (view(rng, &[n, k], single), view(rng, &[n], single));
    let wanted = naive(&x, &w.t()) + b.cast::<f64>();
    assert_close(&x.linear(&w, Some(&b)), &wanted, k);
    assert_close(&x.linear_relu(&w, Some(&b)), &wanted.map(|v| v.max(0.0)), k);
    let poisoned = x.linear_relu(&w, Some(&Tensor::full([n], f32::NAN)));
    assert!(poisoned.to_vec().iter().all(|v| v.is_nan()));
}

/// Sizes at which a product is split: tall, wide, both, with long sums, of vectors, and in batches.
const LARGE: [(&[usize], &[usize]); 27] = [
    (&[1000, 40], &[40, 30]),
    (&[30, 40], &[40, 1000]),
    (&[257, 129], &[129, 193]),
    (&[10, 9001], &[9001, 7]),
    (&[100, 4500], &[4500, 1]),
    (&[1, 4500], &[4500, 100]),
    (&[3000, 33], &[33, 1]),
    (&[1, 300_000], &[300_000, 1]),
    (&[3, 100_000], &[100_000, 1]),
    // Rows by fours and the rest, sums of a block and the rest; columns by eights and the rest, in strips and the rest.
    (&[7, 2049], &[2049, 1]),
    (&[1037, 67], &[67, 1]),
    (&[4099, 25], &[25, 1]),
    (&[40, 17, 33], &[33, 35]),
    (&[40, 17, 33], &[40, 33, 35]),
    (&[17, 33], &[40, 33, 35]),
    (&[200, 12, 16], &[200, 16, 12]),
    (&[3, 100, 80], &[3, 80, 100]),
    // Several blocks of terms at a time and one after the other; all of A packed once, or by each task; more columns than are
    // packed at a time.
    (&[64, 900], &[900, 500]),
    (&[200, 1500], &[1500, 90]),
    (&[350, 800], &[800, 70]),
    (&[20, 30], &[30, 4200]),
    // Long sums into a small C, with a larger A than B: turned, where A's rows are next to each other.
    (&[140, 1100], &[1100, 37]),
    // Panels of B read where they lie, and a last one that is packed; the same in several parts of the sum; B packed in
    // several parts.
    (&[100, 600], &[600, 70]),
    (&[160, 4000], &[4000, 40]),
    (&[170, 1100], &[1100, 1000]),
    // Rows of A that lie a multiple of 4 KiB apart: packed by each task, and once for all.
    (&[9, 1024], &[1024, 70]),
    (&[180, 2048], &[2048, 200]),
];

#[test]
fn a_product_is_added_to_what_is_there() {
    let mut rng = Rng::seed(8);
    for [m, k, n] in [[0, 2, 3], [2, 0, 3], [3, 5, 7], [1, 40, 9], [33, 27, 50], [140, 300, 70], [16, 5000, 20]] {
        let single = |rng: &mut Rng| rng.below(2001) as f32 / 1000.0 - 1.0;
        let (a, b, c) = (view(&mut rng, &[m, k], single), view(&mut rng, &[k, n], single), view(&mut rng, &[m, n], single));
        let wanted = naive(&a, &b) + c.cast::<f64>();
        // Its buffer held by others, and not.
        assert_close(&c.clone().addmm_into(&a, &b), &wanted, k + 1);
        assert_close(&c.copy().addmm_into(&a, &b), &wanted, k + 1);
    }
    let sizes =
        |c: [usize; 2], b: [usize; 2]| panic_of(|| Tensor::<f32>::zeros(c).addmm_into(&Tensor::zeros([2, 3]), &Tensor::zeros(b)));
    let wanted = "wanted [M, N] + [M, K] x [K, N]";
    assert!(
        sizes([2, 4], [4, 4]).contains(wanted) && sizes([3, 4], [3, 4]).contains(&format!("[3, 4] + [2, 3] x [3, 4]; {wanted}"))
    );
}

#[test]
fn large_products_agree_with_the_sum() {
    let mut rng = Rng::seed(5);
    for (a, b) in LARGE {
        check(&mut rng, a, b);
        // And every combination of plain and transposed operands, whatever `check` drew.
        let transposed = |rng: &mut Rng, s: &[usize]| {
            let mut s = s.to_vec();
            let last = s.len() - 1;
            s.swap(last, last - 1);
            Tensor::<f32>::from_fn(s, |_| rng.below(2001) as f32 / 1000.0 - 1.0).t()
        };
        let (at, bt) = (transposed(&mut rng, a), transposed(&mut rng, b));
        let wanted = naive(&at, &bt);
        for a in [&at, &at.contiguous()] {
            for b in [&bt, &bt.contiguous()] {
                assert_close(&a.matmul(b), &wanted, a.size(-1));
            }
        }
    }
}

#[test]
fn large_dense_layers_agree_with_the_sum() {
    let mut rng = Rng::seed(9);
    for (a, b) in LARGE.iter().filter(|(_, b)| b.len() == 2) {
        check_linear(&mut rng, &a[..a.len() - 1], b[0], b[1]);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut rng = Rng::seed(6);
    for (a, b) in LARGE {
        let (a, b) = (reals(&mut rng, a).cast::<f32>(), reals(&mut rng, b).cast::<f32>());
        let one = on_threads(1, || a.matmul(&b).to_vec());
        let three = on_threads(3, || a.matmul(&b).to_vec());
        assert!(one.iter().zip(&three).all(|(x, y)| x.to_bits() == y.to_bits()), "{} x {}", a.shape(), b.shape());
    }
}

#[test]
fn a_product_does_not_read_what_its_buffer_held() {
    // Fill the pool with NaN, then compute into buffers that come from it.
    for (m, k, n) in [(64, 64, 64), (2000, 3, 1), (1, 3, 2000), (64, 0, 64), (100, 5000, 20)] {
        drop(Tensor::<f64>::build([m, n], |out| out.fill(f64::NAN)));
        let y = Tensor::<f64>::ones([m, k]).matmul(&Tensor::ones([k, n]));
        assert!(y.to_vec().iter().all(|&v| v == k as f64), "{m} {k} {n}");
    }
}

#[test]
fn dot_and_outer() {
    let mut rng = Rng::seed(7);
    for n in [0, 1, 5, 100] {
        let (a, b) = (reals(&mut rng, &[n]), reals(&mut rng, &[n]));
        let wanted: f64 = a.to_vec().iter().zip(b.to_vec()).map(|(a, b)| a * b).sum();
        assert!((a.dot(&b).item() - wanted).abs() < 1e-12);
        let y = a.outer(&b);
        for i in indices(&[n, n]) {
            assert_eq!(at(&y, &i), at(&a, &i[..1]) * at(&b, &i[1..]));
        }
    }
}

#[test]
fn triangles() {
    let mut rng = Rng::seed(8);
    for shape in [&[3, 5][..], &[5, 3], &[2, 0, 4], &[2, 4, 4], &[1, 1]] {
        let x = reals(&mut rng, shape);
        for diagonal in -6..=6 {
            let (low, high) = (x.tril(diagonal), x.triu(diagonal));
            for i in indices(shape) {
                let off = i[i.len() - 1] as isize - i[i.len() - 2] as isize;
                assert_eq!(at(&low, &i), if off <= diagonal { at(&x, &i) } else { 0.0 });
                assert_eq!(at(&high, &i), if off >= diagonal { at(&x, &i) } else { 0.0 });
            }
        }
    }
}

#[test]
fn errors_name_the_shapes_and_the_line() {
    let line = line!() + 1;
    let message = panic_of(|| Tensor::<f32>::zeros([32, 784]).matmul(&Tensor::zeros([512, 10])));
    assert_eq!(message, format!("matmul at {}:{line}: inner sizes differ: [32, 784] x [512, 10]", file!()));
    let line = line!() + 1;
    let message = panic_of(|| Tensor::<f32>::zeros([2, 3]).linear(&Tensor::zeros([4, 5]), Some(&Tensor::zeros([4]))));
    let detail = "x [2, 3], w [4, 5], b [4]; wanted [.., in], [out, in], [out]";
    assert_eq!(message, format!("linear at {}:{line}: {detail}", file!()));
    let text = |a: &[usize], b: &[usize]| matmul_shape(a, b).unwrap_err().to_string();
    assert_eq!(text(&[], &[3]), "matmul: both operands need at least one axis: [] x [3]");
    assert_eq!(text(&[2], &[3]), "matmul: inner sizes differ: [2] x [3]");
    assert_eq!(
        text(&[2, 1, 3], &[4, 3, 1]).split(';').next().unwrap(),
        "matmul: shapes [2] and [4] do not broadcast: axis -1 is 2 against 4"
    );
}
