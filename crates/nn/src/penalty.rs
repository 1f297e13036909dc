//! What is added to a loss to keep weights or activations small.

use crate::layer::{Layer, Mode};
use crate::refuse::refuse;
use gradus_autograd::{Module, Param, Path, Var, Visitor, is_checkpointing, is_grad_enabled, path_matches};
use gradus_tensor::Float;
use std::any::Any;
use std::cell::RefCell;

/// `l1 Σ |w| + l2 Σ w²` over the trainable parameters whose path fits a pattern, in which `*` stands for any run of
/// characters: every parameter, unless said otherwise. Added to the loss it keeps weights small (`kernel_regularizer` in
/// Keras; Krogh and Hertz 1992). A trainer adds it by itself: `Trainer::penalty`.
///
/// It is not the optimisers' weight decay, which for Adam and its kin acts otherwise (Loshchilov and Hutter 2019).
///
/// ```
/// use gradus_autograd::Param;
/// use gradus_nn::Penalty;
/// let net = (Param::<f32>::new([1.0, -2.0].into()), Param::new([10.0].into()));
/// assert_eq!(Penalty::l2(0.1).on("0").of(&net).item(), 0.5);
/// assert_eq!(Penalty::l1(0.1).of(&net).item(), 1.3);
/// ```
#[doc(alias("regularizer", "kernel_regularizer", "L1L2"))]
#[derive(Clone, Debug, PartialEq)]
pub struct Penalty {
    l1: f64,
    l2: f64,
    pattern: String,
}

impl Penalty {
    /// `strength · Σ |w|`, which makes many weights 0.
    ///
    /// # Panics
    /// When the strength is negative or not finite.
    #[track_caller]
    pub fn l1(strength: f64) -> Self {
        Self::l1_l2(strength, 0.0)
    }

    /// `strength · Σ w²`.
    ///
    /// # Panics
    /// When the strength is negative or not finite.
    #[track_caller]
    pub fn l2(strength: f64) -> Self {
        Self::l1_l2(0.0, strength)
    }

    /// `l1 Σ |w| + l2 Σ w²`, the elastic net.
    ///
    /// # Panics
    /// When a strength is negative or not finite.
    #[track_caller]
    pub fn l1_l2(l1: f64, l2: f64) -> Self {
        for strength in [l1, l2] {
            assert!(strength.is_finite() && strength >= 0.0, "penalty: the strength is {strength}; wanted 0 or more");
        }
        Self { l1, l2, pattern: "*".into() }
    }

    /// On parameters whose path fits `pattern` only: `*.weight`, `head.*`.
    #[must_use]
    pub fn on(self, pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), ..self }
    }

    /// The penalty for the parameters of `model`; frozen ones have none.
    ///
    /// # Panics
    /// When no parameter has a path that fits the pattern.
    #[track_caller]
    pub fn of<T: Float, M: Module<T> + ?Sized>(&self, model: &M) -> Var<T> {
        let (mut sum, mut fits) = (None, false);
        let parameters = model.named_parameters();
        for (path, param) in &parameters {
            if path_matches(&self.pattern, path) {
                fits = true;
                if param.is_trainable() {
                    sum = added(sum, self.size(param));
                }
            }
        }
        if !fits {
            let paths: Vec<&str> = parameters.iter().map(|(path, _)| path.as_str()).collect();
            panic!("no parameter has a path that fits the penalty's `{}`; there are {}", self.pattern, paths.join(", "));
        }
        sum.unwrap_or_else(zero)
    }

    /// `l1 Σ |x| + l2 Σ x²`.
    #[track_caller]
    fn size<T: Float>(&self, x: &Var<T>) -> Var<T> {
        let l1 = (self.l1 > 0.0).then(|| x.abs().sum(..) * self.l1);
        let l2 = (self.l2 > 0.0).then(|| x.square().sum(..) * self.l2);
        l1.into_iter().chain(l2).reduce(|a, b| a + b).unwrap_or_else(zero)
    }
}

fn zero<T: Float>() -> Var<T> {
    Var::constant(gradus_tensor::Tensor::scalar(T::zero()))
}

#[track_caller]
fn added<T: Float>(sum: Option<Var<T>>, more: Var<T>) -> Option<Var<T>> {
    Some(match sum {
        Some(sum) => sum + more,
        None => more,
    })
}

thread_local! {
    /// For each `collect_penalties` under way, what it has collected.
    static COLLECTED: RefCell<Vec<Vec<Box<dyn Any>>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f`, and gives the sum of the penalties of the [`ActivityPenalty`] layers that ran in it too, to be added to the
/// loss; `None` when there was none. A trainer does so by itself.
///
/// ```
/// use gradus_nn::{ActivityPenalty, Layer, Linear, LossExt, Mode, Penalty, collect_penalties};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let net: ActivityPenalty<Linear> = ActivityPenalty::new(Linear::new(3, 2, rng), Penalty::l1(0.01));
/// let x = Tensor::ones([4, 3]).into();
/// let (y, penalty) = collect_penalties(|| net.forward(&x, &mut Mode::Train(rng)));
/// let loss = y.cross_entropy(&Tensor::from([0i64, 1, 1, 0])) + penalty.expect("there is such a layer");
/// assert_eq!(loss.backward().len(), 2);
/// ```
///
/// Only layers that run on this thread are seen: inside a parallel loop, collect in each of its tasks.
///
/// # Panics
/// When penalties of another element type were collected.
#[track_caller]
pub fn collect_penalties<T: Float, R>(f: impl FnOnce() -> R) -> (R, Option<Var<T>>) {
    /// Takes the list away when `f` panics too.
    struct Collecting;
    impl Drop for Collecting {
        fn drop(&mut self) {
            COLLECTED.with_borrow_mut(|lists| drop(lists.pop()));
        }
    }
    COLLECTED.with_borrow_mut(|lists| lists.push(Vec::new()));
    let collecting = Collecting;
    let result = f();
    let collected = COLLECTED.with_borrow_mut(|lists| std::mem::take(lists.last_mut().expect("pushed above")));
    drop(collecting);
    let mut sum = None;
    for penalty in collected {
        let penalty = *penalty.downcast::<Var<T>>().expect("activity penalties of another element type than the loss");
        sum = added(sum, penalty);
    }
    (result, sum)
}

/// A layer whose output is to stay small: `l1 Σ |y| + l2 Σ y²`, divided by the number of samples, is a part of the loss
/// (`activity_regularizer` in Keras). The output itself is the layer's, and so are the paths of parameters.
///
/// The penalty goes to the [`collect_penalties`] around the forward pass, as the trainer has it.
///
/// # Panics
/// On the forward pass in training: outside of [`collect_penalties`], where the penalty would be lost; within `no_grad` and
/// within a [`Checkpoint`](crate::Checkpoint), which does not keep what the penalty's gradient needs.
#[doc(alias("ActivityRegularization", "activity_regularizer"))]
pub struct ActivityPenalty<L> {
    layer: L,
    penalty: Penalty,
}

impl<L> ActivityPenalty<L> {
    /// Of this layer's output; the penalty's pattern is not looked at.
    pub fn new(layer: L, penalty: Penalty) -> Self {
        Self { layer, penalty }
    }

    /// The layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }
}

impl<T: Float, L: Layer<T>> Module<T> for ActivityPenalty<L> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        self.layer.visit(path, v);
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        self.layer.visit_mut(path, f);
    }
}

impl<T: Float, L: Layer<T>> Layer<T> for ActivityPenalty<L> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let y = self.layer.forward(x, mode);
        let collected = COLLECTED.with_borrow(|lists| !lists.is_empty());
        let problem = match (collected, is_grad_enabled() && !is_checkpointing()) {
            (_, false) => {
                "expected training outside of `no_grad` and checkpoints, got it within `no_grad` or a checkpoint, where what is recorded is not kept"
            }
            (false, _) => {
                "expected training inside of `collect_penalties`, got it outside of `collect_penalties`, where the penalty would be lost"
            }
            _ => "",
        };
        if mode.is_train() && !problem.is_empty() {
            refuse("ActivityPenalty", problem)
        }
        if collected {
            let samples = y.shape().first().copied().unwrap_or(1).max(1);
            let penalty = self.penalty.size(&y) * (1.0 / samples as f64);
            COLLECTED.with_borrow_mut(|lists| {
                if let Some(list) = lists.last_mut() {
                    list.push(Box::new(penalty));
                }
            });
        }
        y
    }
    fn kind(&self) -> String {
        self.layer.kind()
    }
}
