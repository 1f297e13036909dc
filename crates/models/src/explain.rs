//! What a network looks at: maps of how much each pixel of a picture matters to the score of a class.
//!
//! ```
//! use gradus_models::{ConvNet, LeNet5, explain};
//! use gradus_tensor::{Rng, Tensor};
//! let rng = &mut Rng::seed(0);
//! let net: ConvNet = LeNet5::new(1, [28, 28], 10, rng);
//! let digits = Tensor::uniform([2, 1, 28, 28], 0.0, 1.0, rng);
//! assert_eq!(*explain::saliency(&net, &digits, &[3, 7]).shape(), [2, 28, 28]);
//! assert_eq!(*explain::grad_cam(&net, &digits, &[3, 7]).shape(), [2, 7, 7]);
//! assert_eq!(*explain::occlusion(&net, &digits, &[3, 7], 7, 7, 0.0).shape(), [2, 4, 4]);
//! ```

use crate::conv_net::ConvNet;
use gradus_autograd::{Var, no_grad};
use gradus_nn::{Layer, Mode};
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// The score of a class for each picture, `[N]`.
#[track_caller]
fn scores_of<T: Float>(op: &'static str, scores: &Var<T>, classes: &[usize]) -> Var<T> {
    let wrong = |detail: String| Err::<(), _>(ShapeError::new(op, detail)).or_panic();
    let [n, there] = scores.shape()[..] else { panic!("{op}: the network gives {}; wanted [N, classes]", scores.shape()) };
    if classes.len() != n {
        wrong(format!("{} classes for {n} pictures; wanted one each", classes.len()));
    }
    if let Some(class) = classes.iter().find(|&&c| c >= there) {
        wrong(format!("class {class}; the network has {there}, numbered from 0"));
    }
    let index = Tensor::from_vec(classes.iter().map(|&c| c as i64).collect(), [n, 1]);
    scores.gather(1, &index).reshape([n])
}

/// The gradient of each picture's class score by its pixels: `max over channels of |d score / d x|` (Simonyan, Vedaldi and
/// Zisserman 2014). Pictures `[N, C, H, W]` give `[N, H, W]`.
///
/// # Panics
/// When there is not one class a picture, or the network has no such class.
#[track_caller]
pub fn saliency<T: Float>(net: &impl Layer<T>, pictures: &Tensor<T>, classes: &[usize]) -> Tensor<T> {
    let x = Var::leaf(pictures.clone());
    let score = scores_of("saliency", &net.forward(&x, &mut Mode::Eval), classes).sum(..);
    score.backward()[&x].abs().max(1)
}

/// Where the last maps speak for a class: `relu(Σ α_k A_k)`, the maps `A_k` of `features` weighted by the mean gradient of
/// the score in each (Selvaraju et al. 2017). `[N, h, w]`, the size of the maps.
///
/// # Panics
/// As [`saliency`].
#[track_caller]
pub fn grad_cam<T: Float>(net: &ConvNet<T>, pictures: &Tensor<T>, classes: &[usize]) -> Tensor<T> {
    let mode = &mut Mode::Eval;
    let maps = no_grad(|| net.features.forward(&Var::constant(pictures.clone()), mode)).into_value();
    let leaf = Var::leaf(maps.clone());
    let scores = net.classifier.forward(&net.pool.forward(&leaf, mode), mode);
    let gradient = scores_of("grad_cam", &scores, classes).sum(..).backward()[&leaf].clone();
    (maps * gradient.mean_keep([2, 3])).sum(1).relu()
}

/// How far the score falls when a square of `patch` x `patch` pixels is covered with `fill`, at every `stride`-th place
/// (Zeiler and Fergus 2014): `score(x) - score(covered x)`. Pictures `[N, C, H, W]` give `[N, rows, columns]` with
/// `rows = (H - patch) / stride + 1`.
///
/// # Panics
/// As [`saliency`]; and when the square is larger than the picture, or patch or stride 0.
#[track_caller]
pub fn occlusion<T: Float>(
    net: &impl Layer<T>,
    pictures: &Tensor<T>,
    classes: &[usize],
    patch: usize,
    stride: usize,
    fill: f64,
) -> Tensor<T> {
    let score =
        |x: Tensor<T>| no_grad(|| scores_of("occlusion", &net.forward(&Var::constant(x), &mut Mode::Eval), classes)).into_value();
    let [n, channels, height, width] = pictures.shape()[..] else {
        panic!("occlusion: pictures {}; wanted [N, C, H, W]", pictures.shape())
    };
    assert!(
        patch > 0 && stride > 0 && patch <= height.min(width),
        "occlusion: a square of {patch} pixels at every {stride}th place of pictures {}; wanted 1 or more, and no larger",
        pictures.shape()
    );
    let whole = score(pictures.clone());
    let (rows, columns) = ((height - patch) / stride + 1, (width - patch) / stride + 1);
    let mut falls = Vec::with_capacity(rows * columns);
    for (top, left) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i * stride, j * stride))) {
        let covered = Tensor::from_fn([1, 1, height, width], |i| {
            (top..top + patch).contains(&i[2]) && (left..left + patch).contains(&i[3])
        });
        let covered = covered.expand([n, channels, height, width]);
        falls.push(&whole - &score(pictures.masked_fill(&covered, fill)));
    }
    Tensor::stack(&falls.iter().collect::<Vec<_>>(), 1).reshape([n, rows, columns])
}
