//! What the tests of several files share: tensors that lie in memory in every way a view can.

use gradus_tensor::{Element, Rng, Tensor};

/// A tensor of `shape` as a random view: a permuted, sliced, flipped or expanded window of a larger buffer, or a
/// plain one. `value` draws its elements.
pub fn view<T: Element>(rng: &mut Rng, shape: &[usize], mut value: impl FnMut(&mut Rng) -> T) -> Tensor<T> {
    let rank = shape.len();
    let mut order: Vec<usize> = (0..rank).collect();
    if rank > 1 && rng.below(2) == 0 {
        for i in (1..rank).rev() {
            order.swap(i, rng.below(i + 1));
        }
    }
    let kinds: Vec<usize> = order.iter().map(|_| rng.below(8)).collect();
    let stored: Vec<usize> = order
        .iter()
        .zip(&kinds)
        .map(|(&axis, kind)| match kind {
            0 => 1,
            1 => shape[axis] + 3,
            2 | 3 => 2 * shape[axis] + 1,
            _ => shape[axis],
        })
        .collect();
    let mut x = Tensor::from_fn(stored, |_| value(rng));
    for (i, (&axis, kind)) in order.iter().zip(&kinds).enumerate() {
        let n = shape[axis];
        x = match kind {
            1 => x.slice(i, 2..2 + n),
            2 => x.slice_step(i, 1..2 * n + 1, 2),
            3 => x.slice_step(i, 1..2 * n + 1, -2),
            4 => x.flip(i),
            _ => x,
        };
    }
    let expanded: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    let mut back = vec![0; rank];
    for (i, &axis) in order.iter().enumerate() {
        back[axis] = i;
    }
    x.expand(expanded).permute(&back)
}

/// A [`view`] of numbers between -1 and 1.
pub fn reals(rng: &mut Rng, shape: &[usize]) -> Tensor<f64> {
    view(rng, shape, |rng| rng.below(2001) as f64 / 1000.0 - 1.0)
}

/// A [`view`] of whole numbers from -9 to 9, among which equal ones are common.
pub fn integers(rng: &mut Rng, shape: &[usize]) -> Tensor<i64> {
    view(rng, shape, |rng| rng.below(19) as i64 - 9)
}

/// The element at an index of any length.
pub fn at<T: Element>(x: &Tensor<T>, index: &[usize]) -> T {
    index.iter().fold(x.clone(), |x, &i| x.select(0, i)).item()
}
