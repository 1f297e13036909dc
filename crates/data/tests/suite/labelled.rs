//! Classes: their names, subsets, splits and weights.

use gradus_data::{Cifar10, DataError, Dataset, ImageDataset, Labelled, Relabelled, TensorDataset};
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;

fn message<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

/// Sample `i` is the number `i`, of class `labels[i]`.
fn of(labels: &[i64], classes: &[&str]) -> Relabelled<TensorDataset<f32, f32>> {
    let x = Tensor::from_fn([labels.len()], |i| i[0] as f32);
    let data = TensorDataset::new(x.clone(), x).unwrap();
    Relabelled::new(data, Tensor::from(labels.to_vec()), classes.iter().copied()).unwrap()
}

#[test]
fn the_repository_carries_real_pictures_of_cifar() {
    let data = Cifar10::open("../../data/cifar10-small").unwrap();
    assert_eq!((data.train().len(), data.test().len()), (250, 50));
    assert_eq!(data.test().class_counts(), [5; 10]);
    // The first pictures of the official files: a frog, two trucks, a deer; a cat, two ships.
    assert_eq!(data.train().labels().to_vec()[..4], [6, 9, 9, 4]);
    assert_eq!(data.test().labels().to_vec()[..3], [3, 8, 8]);
    let frog = data.train().images().slice(0, ..1).to_vec();
    assert_eq!((frog[0], frog[1024], frog[2048]), (59, 62, 63));
}

#[test]
fn labels_follow_subsets_and_references() {
    let data = of(&[2, 0, 1, 2], &["a", "b", "c"]);
    let part = (&data).subset([3, 1]).unwrap();
    assert_eq!(part.labels().to_vec(), [2, 0]);
    assert_eq!(part.batch(&[1, 0]).unwrap(), (Tensor::from([1.0, 3.0]), Tensor::from([0i64, 2])));
    assert_eq!(std::sync::Arc::new(part).class_counts(), [1, 0, 1]);
    let images = Tensor::from_vec(vec![0u8; 8], [2, 1, 2, 2]);
    let images = ImageDataset::new(images, Tensor::from([1i64, 0]), ["x", "y"]).unwrap();
    assert_eq!(Labelled::labels(&images).to_vec(), [1, 0]);
}

#[test]
fn one_class_is_told_from_the_rest() {
    let data = of(&[2, 0, 1, 2], &["a", "b", "c"]);
    let c = data.clone().one_vs_rest("c").unwrap();
    assert_eq!(c.batch(&[3, 2, 1, 0]).unwrap().1.to_vec(), [1, 0, 0, 1]);
    assert_eq!(c.classes(), ["not c", "c"]);
    assert!(message(data.one_vs_rest("d")).contains("there is no class `d`; there are: a, b, c"));
}

#[test]
fn chosen_classes_are_numbered_anew() {
    let data = of(&[2, 0, 1, 2, 0], &["a", "b", "c"]);
    let some = data.clone().with_classes(["c", "a"]).unwrap();
    assert_eq!(some.classes(), ["c", "a"]);
    assert_eq!(some.batch(&[0, 1, 2, 3]).unwrap(), (Tensor::from([0.0, 1.0, 3.0, 4.0]), Tensor::from([0i64, 1, 0, 1])));
    assert!(message(data.clone().with_classes(["a", "e"])).contains("no class `e`"));
    assert!(message(data.with_classes(["a", "a"])).contains("`a` is named twice"));
}

#[test]
fn wrong_labels_are_refused() {
    let data = TensorDataset::new(Tensor::<f32>::zeros([2, 1]), Tensor::<i64>::zeros([2])).unwrap();
    let new = |labels: Vec<i64>| Relabelled::new(data.clone(), Tensor::from(labels), ["a"]);
    assert!(message(new(vec![0])).contains("labels of shape [1] for 2 samples; wanted [2]"));
    assert!(message(new(vec![0, 1])).contains("sample 1: the label is 1"));
}

#[test]
fn balanced_weights_are_those_of_scikit_learn() {
    // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 2, 2, 0])
    let data = of(&[0, 0, 0, 1, 2, 2, 0], &["a", "b", "c"]);
    let weights = data.class_weights().unwrap();
    for (w, expected) in weights.iter().zip([0.58333333, 2.33333333, 1.16666667]) {
        assert!((w - expected).abs() < 1e-8, "{weights:?}");
    }
    let each = data.sample_weights().unwrap();
    assert_eq!(each[3..6], [weights[1], weights[2], weights[2]]);
    assert!((each.iter().sum::<f64>() - 7.0).abs() < 1e-12);
    assert!(message(of(&[0], &["a", "b"]).class_weights()).contains("no samples of class `b`"));
}

#[test]
fn weighted_batches_follow_the_weights() {
    let data = of(&[0; 4], &["a"]);
    let many: Vec<usize> = (0..20_000).map(|i| i % 4).collect();
    let many = data.subset(many).unwrap();
    let weights: Vec<f64> = (0..20_000).map(|i| [0.0, 1.0, 3.0, 0.0][i % 4]).collect();
    let (x, _) = many.batches(20_000).weighted(&weights, &mut Rng::seed(1)).unwrap().next().unwrap().unwrap();
    let drawn = x.to_vec();
    let share = |v: f32| drawn.iter().filter(|&&x| x == v).count() as f64 / drawn.len() as f64;
    assert_eq!((share(0.0), share(3.0)), (0.0, 0.0));
    assert!((share(1.0) - 0.25).abs() < 0.015 && (share(2.0) - 0.75).abs() < 0.015);
    let few = of(&[0; 3], &["a"]);
    let weighted = |w: &[f64]| few.batches(2).weighted(w, &mut Rng::seed(0)).map(drop);
    assert!(message(weighted(&[1.0])).contains("1 weights for 3 samples"));
    assert!(message(weighted(&[1.0, -1.0, 1.0])).contains("sample 1 has the weight -1"));
    assert!(message(weighted(&[1.0, 1.0, f64::NAN])).contains("sample 2 has the weight NaN"));
    assert!(message(weighted(&[0.0; 3])).contains("add up to 0"));
    assert!(message(weighted(&[f64::MAX; 3])).contains("add up to inf"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn stratified_parts_have_their_share_of_every_class(labels in prop::collection::vec(0i64..4, 0..200), a in 0.0f64..1.0, b in 0.0f64..1.0) {
        let data = of(&labels, &["a", "b", "c", "d"]);
        let fractions = [a * b, a * (1.0 - b), 1.0 - a];
        let parts = data.stratified_split(fractions, &mut Rng::seed(9)).unwrap();
        let plain = data.split(fractions, &mut Rng::seed(9)).unwrap();
        let mut all: Vec<usize> = parts.iter().flat_map(|p| p.indices().to_vec()).collect();
        all.sort_unstable();
        prop_assert!(all.into_iter().eq(0..labels.len()));
        for (part, plain) in parts.iter().zip(&plain) {
            prop_assert_eq!(part.len(), plain.len());
            for (mine, whole) in part.class_counts().into_iter().zip(data.class_counts()) {
                let ideal = whole as f64 * part.len() as f64 / labels.len().max(1) as f64;
                prop_assert!((mine as f64 - ideal).abs() <= 2.0, "{mine} of a class of {whole}, ideally {ideal}");
            }
        }
    }
}

#[test]
fn a_stratified_split_is_random_and_repeats() {
    let data = of(&[0, 1].repeat(50), &["a", "b"]);
    let indices = |seed| data.stratified_split([80, 20], &mut Rng::seed(seed)).unwrap()[1].indices().to_vec();
    assert_eq!(indices(1), indices(1));
    assert_ne!(indices(1), indices(2));
    assert!(!indices(1).is_sorted_by_key(|i| i % 2), "the classes are mixed");
    assert!(message(data.stratified_split([80, 21], &mut Rng::seed(1))).contains("add up to the 100"));
}

#[test]
fn weights_come_beside_the_targets() {
    let data = of(&[0, 1, 0], &["a", "b"]);
    let weighted = data.clone().with_sample_weights(&[1.0, 0.5, 0.0]).unwrap();
    let (x, (y, w)) = weighted.batch(&[2, 1]).unwrap();
    assert_eq!((x.to_vec(), y.to_vec(), w.to_vec()), (vec![2.0, 1.0], vec![0, 1], vec![0.0, 0.5]));
    assert!(message(weighted.batch(&[3])).contains("no sample 3"));
    assert!(message(data.clone().with_sample_weights(&[1.0])).contains("1 weights for 3 samples"));
    assert!(message(data.with_sample_weights(&[1.0, f64::INFINITY, 1.0])).contains("sample 1 has the weight inf"));
}
