//! Data sets in memory: adaptors, batches, and loading ahead.

use gradus_data::{DataError, Dataset, ImageDataset, Rows, TensorDataset};
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Sample `i` is `[10 i, 10 i + 1]` with target `i`.
fn numbered(n: usize) -> TensorDataset<f32, i64> {
    let inputs = Tensor::from_fn([n, 2], |i| (i[0] * 10 + i[1]) as f32);
    TensorDataset::new(inputs, Tensor::from_fn([n], |i| i[0] as i64)).unwrap()
}

fn targets<D: Dataset<Batch = (Tensor<f32>, Tensor<i64>)>>(data: &D, indices: &[usize]) -> Vec<i64> {
    let (x, y) = data.batch(indices).unwrap();
    assert_eq!(*x.shape(), [indices.len(), 2]);
    for (i, &y) in y.to_vec().iter().enumerate() {
        assert_eq!([x.at([i, 0]), x.at([i, 1])], [10.0 * y as f32, 10.0 * y as f32 + 1.0]);
    }
    y.to_vec()
}

fn message<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn shapes_that_do_not_pair_are_refused() {
    let x = Tensor::<f32>::zeros([3, 2]);
    let err = message(TensorDataset::new(x.clone(), Tensor::<i64>::zeros([4])));
    assert!(err.contains("[3, 2]") && err.contains("[4]"), "{err}");
    assert!(TensorDataset::new(x, Tensor::scalar(1i64)).is_err());
}

#[test]
fn strided_tensors_are_read_in_their_own_order() {
    let x = Tensor::<f32>::arange(0.0, 6.0, 1.0).reshape([2, 3]).t();
    let data = TensorDataset::new(x, Tensor::from([0i64, 1, 2]).flip(0)).unwrap();
    let (x, y) = data.batch(&[2, 0]).unwrap();
    assert_eq!(x, Tensor::from([[2.0, 5.0], [0.0, 3.0]]));
    assert_eq!(y, Tensor::from([0, 2]));
}

#[test]
fn samples_without_elements_make_batches() {
    let data = TensorDataset::new(Tensor::<f32>::zeros([3, 0]), Tensor::<i64>::zeros([3])).unwrap();
    assert_eq!(*data.batch(&[0, 2]).unwrap().0.shape(), [2, 0]);
    assert_eq!(*numbered(3).batch(&[]).unwrap().0.shape(), [0, 2]);
}

#[test]
fn indices_outside_are_refused_by_every_adaptor() {
    let data = numbered(4);
    assert!(message(data.batch(&[0, 4])).contains("no sample 4; there are 4"));
    assert!(message(data.clone().subset([1, 7])).contains("no sample 7"));
    assert!(message(data.clone().take(2).batch(&[2])).contains("no sample 2; there are 2"));
    assert!(data.clone().concat(data.clone()).batch(&[8]).is_err());
    assert!(data.map(|b| b).batch(&[9]).is_err());
}

#[test]
fn subsets_nest() {
    let data = numbered(10).subset([9, 7, 5, 3]).unwrap().subset([3, 0]).unwrap();
    assert_eq!(targets(&data, &[0, 1, 0]), [3, 9, 3]);
    assert_eq!(numbered(3).take(5).len(), 3);
}

#[test]
fn splits_deal_every_sample_once() {
    let data = numbered(10);
    let [a, b, c] = data.split([0.5, 0.3, 0.2], &mut Rng::seed(1)).unwrap();
    assert_eq!([a.len(), b.len(), c.len()], [5, 3, 2]);
    let mut all = [a.indices(), b.indices(), c.indices()].concat();
    assert_ne!(all, (0..10).collect::<Vec<_>>());
    let [again, _, _] = data.split([5, 3, 2], &mut Rng::seed(1)).unwrap();
    assert_eq!(again.indices(), a.indices());
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    assert!(message(data.split([5, 4], &mut Rng::seed(1))).contains("add up to the 10 samples"));
    assert!(message(data.split([0.5, 0.4], &mut Rng::seed(1))).contains("add up to 1"));
    assert!(data.split([f64::NAN, 0.4], &mut Rng::seed(1)).is_err());
    assert!(data.split([1.5, -0.5], &mut Rng::seed(1)).is_err());
    assert!(data.split([usize::MAX, 11], &mut Rng::seed(1)).is_err());
}

#[test]
fn concatenated_sets_keep_the_order_asked_for() {
    let data = numbered(3).concat(numbered(6).subset([3, 4, 5]).unwrap());
    assert_eq!(data.len(), 6);
    assert_eq!(targets(&data, &[5, 0, 4, 1, 1]), [5, 0, 4, 1, 1]);
    assert_eq!(targets(&data, &[0, 1]), [0, 1]);
    assert_eq!(targets(&data, &[4, 3]), [4, 3]);
    let other = TensorDataset::new(Tensor::<f32>::zeros([1, 5]), Tensor::from([0i64])).unwrap();
    assert!(message(numbered(1).concat(other).batch(&[0, 1])).contains("[1, 2] and [1, 5]"));
}

#[test]
fn tuples_of_one_to_four_append_and_reorder() {
    let t = |v: i64| Tensor::from([v, v + 1]);
    let a = (t(0), t(10), t(20), t(30)).append((t(2), t(12), t(22), t(32))).unwrap().rows(&[3, 0]);
    assert_eq!(a, (Tensor::from([3, 0]), Tensor::from([13, 10]), Tensor::from([23, 20]), Tensor::from([33, 30])));
}

#[test]
fn requests_without_batches_are_one_error() {
    let once = |mut it: gradus_data::Batches<_>, reason: &str| {
        assert_eq!(it.len(), 1);
        let err = message(it.next().unwrap());
        assert!(err.contains(reason), "{err}");
        assert!(it.next().is_none() && it.len() == 0);
    };
    once(numbered(4).batches(0), "batch of 0 samples");
    once(numbered(0).batches(2), "the data set is empty");
    once(numbered(4).batches(5).drop_last(true), "4 samples do not fill one batch of 5");
    once(numbered(4).batches(2).skip_batches(3), "cannot start at batch 3; the pass has 2");
    assert_eq!(numbered(4).batches(2).skip_batches(2).count(), 0);
    assert_eq!(numbered(4).batches(usize::MAX).count(), 1);
    let mut ahead = numbered(0).batches(2).prefetch(2);
    assert!(message(ahead.next().unwrap()).contains("empty"));
    assert!(ahead.next().is_none() && ahead.next().is_none());
}

#[test]
fn the_shuffled_order_depends_on_the_generator_alone() {
    let order = |size, seed, ahead| -> Vec<i64> {
        let batches = numbered(23).batches(size).shuffle(&mut Rng::seed(seed));
        let join = |v: Vec<Result<(_, Tensor<i64>), _>>| v.into_iter().flat_map(|b| b.unwrap().1.to_vec()).collect();
        join(if ahead { batches.prefetch(3).collect() } else { batches.collect() })
    };
    let first = order(4, 7, false);
    assert_eq!(first, order(23, 7, false));
    assert_eq!(first, order(5, 7, true));
    assert_ne!(first, order(4, 8, false));
    let expected: Vec<i64> = Rng::seed(7).permutation(23).iter().map(|&i| i as i64).collect();
    assert_eq!(first, expected);
}

/// Counts the batches it is asked for; a batch that contains `bad` fails by error, `worse` by panic.
#[derive(Clone)]
struct Watched {
    asked: Arc<AtomicUsize>,
    bad: usize,
    worse: usize,
    wait: Duration,
}

impl Watched {
    fn new() -> Self {
        Self { asked: Arc::default(), bad: usize::MAX, worse: usize::MAX, wait: Duration::ZERO }
    }
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Dataset for Watched {
    type Batch = Vec<usize>;
    fn len(&self) -> usize {
        100
    }
    fn batch(&self, indices: &[usize]) -> Result<Vec<usize>, DataError> {
        thread::sleep(self.wait);
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert!(!indices.contains(&self.worse), "sample {} is cursed", self.worse);
        if indices.contains(&self.bad) { Err(DataError::new("a bad sample")) } else { Ok(indices.to_vec()) }
    }
}

#[test]
fn skipped_batches_are_not_loaded() {
    let data = Watched::new();
    let whole: Vec<_> = data.batches(10).shuffle(&mut Rng::seed(3)).map(Result::unwrap).collect();
    assert_eq!(data.asked(), 10);
    let rest: Vec<_> = data.batches(10).shuffle(&mut Rng::seed(3)).skip_batches(7).map(Result::unwrap).collect();
    assert_eq!((data.asked(), rest.len()), (13, 3));
    assert_eq!(rest, whole[7..]);
}

#[test]
fn a_bad_batch_is_an_error_and_the_next_one_comes() {
    let data = Watched { bad: 15, ..Watched::new() };
    for batches in [data.batches(10).collect::<Vec<_>>(), data.batches(10).prefetch(2).collect()] {
        assert_eq!(batches.len(), 10);
        assert_eq!(batches.iter().filter(|b| b.is_err()).count(), 1);
        assert!(batches[1].is_err());
    }
}

#[test]
fn a_panic_in_the_thread_is_an_error() {
    let data = Watched { worse: 25, ..Watched::new() };
    let mut ahead = data.batches(10).prefetch(4);
    assert!(ahead.next().unwrap().is_ok() && ahead.next().unwrap().is_ok());
    let err = message(ahead.next().unwrap());
    assert!(err.contains("panicked: sample 25 is cursed"), "{err}");
    assert!(ahead.next().is_none());
}

#[test]
fn loading_ahead_stays_within_its_bound_and_ends_with_the_iterator() {
    let data = Watched::new();
    let mut ahead = data.batches(1).prefetch(3);
    let deadline = Instant::now() + Duration::from_secs(20);
    while data.asked() < 3 {
        assert!(Instant::now() < deadline, "nothing is loaded ahead");
        thread::sleep(Duration::from_millis(2));
    }
    thread::sleep(Duration::from_millis(30));
    assert_eq!(data.asked(), 3, "three wait to be fetched, no more");
    assert_eq!(ahead.next().unwrap().unwrap(), [0]);
    drop(ahead);
    // Dropping joins the thread, which held the only other owner of the counter.
    assert_eq!(Arc::strong_count(&data.asked), 1);
    assert!(data.asked() <= 5);
}

#[test]
fn loading_ahead_overlaps_with_the_work() {
    let data = Watched { wait: Duration::from_millis(20), ..Watched::new() };
    let start = Instant::now();
    for batch in data.batches(10).prefetch(2) {
        batch.unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    // One after the other would be 400 ms or more; ideal is 220 ms.
    assert!(start.elapsed() < Duration::from_millis(390), "{:?}", start.elapsed());
}

#[test]
fn borrowed_and_shared_sets_are_sets() {
    struct NotClone;
    impl Dataset for NotClone {
        type Batch = usize;
        fn len(&self) -> usize {
            5
        }
        fn batch(&self, indices: &[usize]) -> Result<usize, DataError> {
            Ok(indices.len())
        }
    }
    let borrowed = &NotClone;
    let sizes: Vec<usize> = borrowed.take(3).batches(2).map(Result::unwrap).collect();
    assert_eq!(sizes, [2, 1]);
    let sizes: Vec<usize> = Arc::new(NotClone).batches(2).drop_last(true).prefetch(0).map(Result::unwrap).collect();
    assert_eq!(sizes, [2, 2]);
}

#[test]
fn image_sets_check_shapes_and_labels() {
    let images = Tensor::from_vec((0..24).collect(), [2, 3, 2, 2]);
    let set = |labels: Vec<i64>| ImageDataset::new(images.clone(), Tensor::from(labels), ["a", "b"]);
    assert!(message(set(vec![0, 2])).contains("sample 1: the label is 2; the 2 classes"));
    assert!(message(set(vec![-1, 0])).contains("sample 0: the label is -1"));
    assert!(message(set(vec![0])).contains("[2, 3, 2, 2]"));
    let data = set(vec![1, 0]).unwrap();
    let (x, y) = data.batch(&[1, 1, 0]).unwrap();
    assert_eq!(*x.shape(), [3, 3, 2, 2]);
    assert_eq!(x.at([1, 2, 1, 1]), 23.0 / 255.0);
    assert_eq!(y.to_vec(), [0, 0, 1]);
    assert_eq!((data.limit(1).len(), data.limit(9).len()), (1, 2));
    assert!(data.limit(1).images().shares_buffer_with(data.images()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_pass_meets_every_sample_once(n in 1usize..60, size in 1usize..20, drop in any::<bool>(), seed in any::<u64>()) {
        let batches = numbered(n).batches(size).shuffle(&mut Rng::seed(seed)).drop_last(drop);
        let announced = batches.len();
        let all: Vec<_> = batches.collect();
        prop_assert_eq!(all.len(), announced);
        if drop && n < size {
            prop_assert!(all.len() == 1 && all[0].is_err());
            return Ok(());
        }
        let mut seen: Vec<i64> = all.into_iter().flat_map(|b| b.unwrap().1.to_vec()).collect();
        prop_assert_eq!(seen.len(), if drop { n / size * size } else { n });
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), if drop { n / size * size } else { n });
    }

    #[test]
    fn fractions_use_every_sample(n in 0usize..200, a in 0.0f64..1.0, b in 0.0f64..1.0) {
        let fractions = [a * b, a * (1.0 - b), 1.0 - a];
        let parts = numbered(n).split(fractions, &mut Rng::seed(0)).unwrap();
        prop_assert_eq!(parts.iter().map(Dataset::len).sum::<usize>(), n);
        for (part, f) in parts.iter().zip(fractions) {
            prop_assert!((part.len() as f64 - f * n as f64).abs() <= 2.0);
        }
    }
}
