//! The main job, small: LeNet on real digits, from the data to the weights.

use gradus::prelude::*;
use gradus::train::Verbosity;

fn lenet(rng: &mut Rng) -> Sequential {
    Sequential::new()
        .add(Conv2d::new(1, 20, 5, rng).same())
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Dropout::new(0.25))
        .add(Conv2d::new(20, 50, 5, rng).same())
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(Flatten)
        .add(Linear::new(50 * 49, 500, rng))
        .add(Relu)
        .add(Linear::new(500, 10, rng))
}

/// One epoch over the first digits on a pool of `threads`; the history and the weights.
fn train(threads: usize) -> (History, std::collections::BTreeMap<String, Tensor>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mnist = Mnist::embedded().unwrap();
        let (train, test) = (mnist.train().limit(768), mnist.test().limit(200));
        let net = lenet(&mut Rng::seed(3));
        let mut trainer = Trainer::new(net, CrossEntropy::new(), Adam::new(2e-3)).metric(Accuracy::new());
        let fit = Fit::epochs(1).batch(32).seed(3).verbosity(Verbosity::Silent);
        let history = trainer.fit(&train, &test, fit).unwrap();
        (history, trainer.net().state_dict())
    })
}

#[test]
fn one_epoch_learns_and_leaves_the_same_bits_on_one_thread_and_on_two() {
    let (history, one) = train(1);
    assert!(history.last("val_acc").unwrap() > 0.6, "{history:?}");
    let (_, two) = train(2);
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (path, weight) in &one {
        let bits = |t: &Tensor| t.to_vec().into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(weight), bits(&two[path]), "{path} differs");
    }
    assert_eq!(gradus::autograd::live_nodes(), 0, "every step frees its tape");
}
