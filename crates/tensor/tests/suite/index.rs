//! Picking and adding by index, against the definition at every index.

use crate::common::{indices, on_threads, panic_of};
use crate::layouts::{at, integers, reals, view};
use gradus_tensor::{Num, Rng, Tensor};
use proptest::prelude::*;

/// A shape of 1 to 3 axes, sizes 0 included, and one of its axes.
fn shape_and_axis() -> impl Strategy<Value = (Vec<usize>, usize)> {
    prop::collection::vec(0usize..5, 1..4).prop_flat_map(|s| {
        let n = s.len();
        (Just(s), 0..n)
    })
}

/// Indices below `n`, as a view of `shape`; `None` when there is nothing to pick from.
fn index_view(rng: &mut Rng, shape: &[usize], n: usize) -> Option<Tensor<i64>> {
    (n > 0).then(|| view(rng, shape, |rng| rng.below(n) as i64))
}

fn with(index: &[usize], axis: usize, i: usize) -> Vec<usize> {
    let mut index = index.to_vec();
    index[axis] = i;
    index
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn gather_and_scatter_add((shape, axis) in shape_and_axis(), count in 0usize..5, seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        let x = integers(&mut rng, &shape);
        let mut picked: Vec<usize> = shape.iter().map(|&n| rng.below(n + 1)).collect();
        picked[axis] = count;
        let Some(index) = index_view(&mut rng, &picked, shape[axis]) else { return Ok(()) };
        let y = x.gather(axis as isize - shape.len() as isize, &index);
        let src = integers(&mut rng, &picked);
        let sums = x.scatter_add(axis, &index, &src);
        let mut wanted = x.copy();
        for i in indices(&picked) {
            let from = with(&i, axis, at(&index, &i) as usize);
            prop_assert_eq!(at(&y, &i), at(&x, &from));
            let flat = from.iter().zip(&shape).fold(0, |p, (i, n)| p * n + i);
            wanted.as_mut_slice()[flat] += at(&src, &i);
        }
        prop_assert_eq!(y.shape(), &picked[..]);
        prop_assert_eq!(sums, wanted);
    }

    #[test]
    fn index_select_and_index_add((shape, axis) in shape_and_axis(), count in 0usize..5, seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        let x = integers(&mut rng, &shape);
        let Some(index) = index_view(&mut rng, &[count], shape[axis]) else { return Ok(()) };
        let y = x.index_select(axis, &index);
        let src = integers(&mut rng, &with(&shape, axis, count));
        let mut wanted = x.copy();
        prop_assert_eq!(y.shape(), src.shape());
        for i in indices(y.shape()) {
            let from = with(&i, axis, at(&index, &i[axis..=axis]) as usize);
            prop_assert_eq!(at(&y, &i), at(&x, &from));
            let flat = from.iter().zip(&shape).fold(0, |p, (i, n)| p * n + i);
            wanted.as_mut_slice()[flat] += at(&src, &i);
        }
        prop_assert_eq!(x.index_add(axis, &index, &src), wanted);
    }

    #[test]
    fn masked_fill(shape in prop::collection::vec(0usize..4, 0..4), seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        let x = integers(&mut rng, &shape);
        // The mask may lack leading axes, and have size 1 along others.
        let skip = rng.below(shape.len() + 1);
        let narrow: Vec<usize> = shape[skip..].iter().map(|&n| if rng.below(3) == 0 { 1 } else { n }).collect();
        let mask = view(&mut rng, &narrow, |rng| rng.below(2) == 0);
        let (y, wide) = (x.masked_fill(&mask, 77), mask.expand(&shape[..]));
        for i in indices(&shape) {
            prop_assert_eq!(at(&y, &i), if at(&wide, &i) { 77 } else { at(&x, &i) });
        }
    }

    /// Padding by steps is the adjoint of slicing: the slice of it is the original, and the rest is 0.
    #[test]
    fn pad_step_undoes_slice_step(
        (shape, axis) in shape_and_axis(), spare in (0usize..3, 0usize..3), step in 1usize..4, down: bool, seed in 0u64..1 << 32,
    ) {
        let x = integers(&mut Rng::seed(seed), &shape).map(|v| v + 10);
        let count = shape[axis];
        let length = if count == 0 { 0 } else { (count - 1) * step + 1 };
        let size = spare.0 + length + spare.1;
        let signed = if down { -(step as isize) } else { step as isize };
        let start = if down { (spare.0 + length).saturating_sub(1) } else { spare.0 };
        let y = x.pad_step(axis, size, start, signed);
        prop_assert_eq!(y.shape(), &with(&shape, axis, size)[..]);
        prop_assert_eq!(y.slice_step(axis, spare.0..spare.0 + length, signed), x.copy());
        prop_assert_eq!(y.sum(..).item(), x.sum(..).item());
        // Adding to a slice is adding what is filled up with zeros, whether in place or beside another holder.
        let z = view(&mut Rng::seed(seed), &with(&shape, axis, size), |rng| rng.below(9) as i64);
        let wanted = &z + &y;
        prop_assert_eq!(&z.clone().slice_add_into(axis, start, signed, &x), &wanted);
        prop_assert_eq!(z.copy().slice_add_into(axis, start, signed, &x), wanted);
    }

    #[test]
    fn diagonal_embed_undoes_diagonal(batch in 0usize..3, rows in 0usize..5, cols in 0usize..5, offset in -5isize..6, seed in 0u64..1 << 32) {
        let length = Tensor::<i64>::zeros([rows, cols]).diagonal(offset).numel();
        let x = integers(&mut Rng::seed(seed), &[batch, length]);
        let y = x.diagonal_embed(offset, rows, cols);
        prop_assert_eq!(y.shape(), &[batch, rows, cols][..]);
        prop_assert_eq!(y.diagonal(offset), x.copy());
        prop_assert_eq!(y.sum(..).item(), x.sum(..).item());
    }

    #[test]
    fn one_hot_and_bincount(shape in prop::collection::vec(0usize..4, 0..3), classes in 1usize..6, seed in 0u64..1 << 32) {
        let labels = view(&mut Rng::seed(seed), &shape, |rng| rng.below(classes) as i64);
        let (y, counts) = (labels.one_hot::<f32>(classes), labels.bincount(classes));
        for i in indices(y.shape()) {
            let hit = at(&labels, &i[..shape.len()]) == i[shape.len()] as i64;
            prop_assert_eq!(at(&y, &i), f32::from(u8::from(hit)));
        }
        for c in 0..classes {
            prop_assert_eq!(counts.at([c]), labels.to_vec().iter().filter(|&&l| l == c as i64).count() as i64);
        }
    }
}

#[test]
fn large_picks_are_right_on_any_number_of_threads() {
    let mut rng = Rng::seed(3);
    let x = reals(&mut rng, &[300, 70]);
    let rows = view(&mut rng, &[2000], |rng| rng.below(300) as i64);
    let wide = view(&mut rng, &[300, 400], |rng| rng.below(70) as i64);
    let plain = x.to_vec();
    let (r, w) = (rows.to_vec(), wide.to_vec());
    for threads in [1, 3] {
        let (a, b) = on_threads(threads, || (x.index_select(0, &rows).to_vec(), x.gather(1, &wide).to_vec()));
        assert!(a.iter().enumerate().all(|(k, &v)| v == plain[r[k / 70] as usize * 70 + k % 70]));
        assert!(b.iter().enumerate().all(|(k, &v)| v == plain[k / 400 * 70 + w[k] as usize]));
    }
}

/// Shapes of what is added to and of the indices, and the axis: lines side by side in whole blocks and a rest, lines behind one
/// another, of the last axis, and one alone, in the cache and beyond it.
const LARGE: [(&[usize], &[usize], usize); 8] = [
    (&[50, 70], &[700, 70], 0),
    (&[50, 130], &[700, 97], 0),
    (&[6, 40, 7, 20], &[5, 90, 6, 20], 1),
    (&[30, 5, 33], &[400, 4, 33], 0),
    (&[70, 60], &[69, 800], 1),
    (&[300, 3], &[20_000, 2], 0),
    (&[1_100_003], &[90_000], 0),
    (&[400_000, 3], &[30_001, 2], 0),
];

/// The sums in the order of the indices, element by element.
fn plain_scatter_add<T: Num>(y: &Tensor<T>, axis: usize, index: &Tensor<i64>, src: &Tensor<T>) -> Vec<T> {
    let mut sums = y.to_vec();
    for ((i, &to), &v) in indices(index.shape()).into_iter().zip(&index.to_vec()).zip(&src.to_vec()) {
        let place = with(&i, axis, to as usize).iter().zip(&**y.shape()).fold(0, |p, (i, n)| p * n + i);
        sums[place] = sums[place].add_wrapping(v);
    }
    sums
}

fn check_large_sums<T: Num>(rng: &mut Rng, value: fn(&mut Rng) -> T) {
    for (shape, picked, axis) in LARGE {
        let y = view(rng, shape, value);
        let (index, src) = (view(rng, picked, |rng| rng.below(shape[axis]) as i64), view(rng, picked, value));
        let wanted = plain_scatter_add(&y, axis, &index, &src);
        for threads in [1, 3] {
            let sums = on_threads(threads, || y.scatter_add(axis, &index, &src).to_vec());
            assert!(sums == wanted, "{shape:?} and {picked:?} along axis {axis} on {threads} threads");
        }
    }
    for (shape, axis, count) in [([1, 90, 64], 1, 700), ([3, 50, 17], 1, 900), ([40, 200, 1], 1, 1000), ([70, 9, 9], 0, 500)] {
        let (y, index) = (view(rng, &shape, value), view(rng, &[count], |rng| rng.below(shape[axis]) as i64));
        let src = view(rng, &with(&shape, axis, count), value);
        let along = (0..3).map(|a| if a == axis { count } else { 1 }).collect::<Vec<_>>();
        let whole = index.reshape(along.as_slice()).expand(src.shape());
        let wanted = plain_scatter_add(&y, axis, &whole, &src);
        for threads in [1, 3] {
            let sums = on_threads(threads, || y.index_add(axis, &index, &src).to_vec());
            assert!(sums == wanted, "{count} rows to {shape:?} along axis {axis} on {threads} threads");
        }
    }
}

#[test]
fn large_sums_have_the_bits_of_the_plain_loop_on_any_number_of_threads() {
    let mut rng = Rng::seed(5);
    check_large_sums(&mut rng, |rng| rng.below(2001) as f32 / 1000.0 - 1.0);
    check_large_sums(&mut rng, |rng| rng.below(2001) as f64 / 1000.0 - 1.0);
    check_large_sums(&mut rng, |rng| rng.below(256) as u8);
}

#[test]
fn an_index_out_of_range_is_found_among_many() {
    let mut many = vec![1i64; 100_000];
    for (place, bad) in [(99_999, 2), (65_536, -1), (40_000, i64::MAX), (3, i64::MIN)] {
        many[place] = bad;
        let index = Tensor::from(many.clone());
        let message = panic_of(|| on_threads(3, || drop(Tensor::<f32>::zeros([2]).gather(0, &index))));
        assert!(message.ends_with(&format!("index {bad} at [{place}] is outside 0..2")), "{message}");
    }
}

#[test]
fn errors_name_the_index_its_place_and_the_range() {
    let x = Tensor::<f32>::zeros([3, 4]);
    let check = |f: &(dyn Fn() + std::panic::RefUnwindSafe), wanted: &str| {
        let message = panic_of(f);
        let (place, detail) = message.split_once(": ").unwrap();
        assert!(place.contains(" at ") && place.contains(file!()), "{message}");
        assert_eq!(detail, wanted);
    };
    let outside = Tensor::from([[0i64, 1], [2, 4]]);
    let negative = Tensor::from([1i64, -1]);
    check(&|| drop(x.gather(1, &outside)), "index 4 at [1, 1] is outside 0..4");
    check(&|| drop(x.index_select(0, &negative)), "index -1 at [1] is outside 0..3");
    check(&|| drop(x.scatter_add(1, &outside, &Tensor::zeros([2, 2]))), "index 4 at [1, 1] is outside 0..4");
    check(&|| drop(x.index_add(0, &negative, &Tensor::zeros([2, 4]))), "index -1 at [1] is outside 0..3");
    check(&|| drop(Tensor::from([0i64, 9]).one_hot::<f32>(9)), "label 9 at [1] is outside 0..9");
    check(&|| drop(Tensor::from([0i64, -3]).bincount(9)), "label -3 at [1] is outside 0..9");
    check(
        &|| drop(x.gather(0, &Tensor::from([[0i64, 1, 2, 0, 1]]))),
        "indices of shape [1, 5] into [3, 4] along axis 0: as many axes are wanted, and none but 0 larger",
    );
    check(&|| drop(x.index_select(0, &outside)), "indices of shape [2, 2]; a vector is wanted");
    check(&|| drop(x.index_add(0, &Tensor::from([1i64]), &Tensor::zeros([2, 4]))), "values of shape [2, 4]; wanted [1, 4]");
    check(&|| drop(x.pad_step(0, 4, 1, 2)), "3 indices from 1 by 2 do not fit an axis of 4");
    check(&|| drop(x.clone().slice_add_into(0, 1, 2, &x)), "3 indices from 1 by 2 do not fit an axis of 3");
    check(
        &|| drop(x.clone().slice_add_into(0, 1, 1, &Tensor::zeros([2, 3]))),
        "values of shape [2, 3] along axis 0 of shape [3, 4]",
    );
    check(&|| drop(x.diagonal_embed(0, 3, 3)), "[3, 4] as diagonal 0 of 3 x 3: the last axis must be 3");
}
