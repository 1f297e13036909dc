//! How far to the right each place is, in layers that have their order.

use super::{GAP, Item};

/// Sweeps over the layers, each down or up.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Only what was placed before counts, so that places travel far.
    Spread,
    /// Both sides count.
    Settle,
    /// Down: below the main item above. Up: what is nobody's main item moves towards its readers.
    Straighten,
}

/// How strongly a line pulls its ends above each other: long lines and the main way are to be straight, the rest stands
/// aside.
fn pull(items: &[Item], above: usize, below: usize) -> f64 {
    match (items[below].main == Some(above), items[above].passes && items[below].passes) {
        (_, true) => 8.0,
        (true, _) => 4.0,
        _ => 0.02,
    }
}

/// The middle of each item.
pub(super) fn place(items: &[Item], layers: &[Vec<usize>], sweeps: usize) -> Vec<f64> {
    let apart = |a: usize, b: usize| (items[a].width + items[b].width) / 2.0 + GAP[0];
    let mut xs = vec![0.0; items.len()];
    for layer in layers {
        for pair in layer.windows(2) {
            xs[pair[1]] = xs[pair[0]] + apart(pair[0], pair[1]);
        }
    }
    for (phase, sweeps) in [(Phase::Spread, sweeps), (Phase::Settle, sweeps), (Phase::Straighten, 4)] {
        for sweep in 0..sweeps {
            let down = sweep % 2 == 0;
            for step in 0..layers.len() {
                let layer = &layers[if down { step } else { layers.len() - 1 - step }];
                let mut offset = 0.0;
                let mut wishes = Vec::with_capacity(layer.len());
                for (k, &i) in layer.iter().enumerate() {
                    offset += if k > 0 { apart(layer[k - 1], i) } else { 0.0 };
                    let (x, weight) = wish(items, &xs, i, phase, down);
                    wishes.push((x - offset, weight, offset));
                }
                for ((x, &(_, _, offset)), &i) in isotonic(&wishes).into_iter().zip(&wishes).zip(layer) {
                    xs[i] = x + offset;
                }
            }
        }
    }
    xs
}

/// Where an item would like to be, and how much.
fn wish(items: &[Item], xs: &[f64], i: usize, phase: Phase, down: bool) -> (f64, f64) {
    let (item, stay) = (&items[i], 1e-3);
    let is_main = || !item.above.is_empty() && item.below.iter().any(|&b| items[b].main == Some(i));
    match (phase, down) {
        (Phase::Straighten, true) => return item.main.map_or((xs[i], stay), |main| (xs[main], pull(items, main, i))),
        (Phase::Straighten, false) if is_main() || item.below.is_empty() => return (xs[i], 1e3),
        _ => {}
    }
    let (look_up, look_down) = (phase == Phase::Settle || (phase == Phase::Spread && down), phase != Phase::Spread || !down);
    let above = item.above.iter().filter(|_| look_up).map(|&a| (xs[a], pull(items, a, i)));
    let below = item.below.iter().filter(|_| look_down).map(|&b| (xs[b], pull(items, i, b)));
    let (sum, weight) = above.chain(below).fold((0.0, 0.0), |(sum, weight), (x, pull)| (sum + x * pull, weight + pull));
    if weight > 0.0 { (sum / weight, weight) } else { (xs[i], stay) }
}

/// The non-decreasing values nearest to the wishes (value, weight, _) in the weighted mean square, by pooling neighbours
/// that are out of order.
fn isotonic(wishes: &[(f64, f64, f64)]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(wishes.len());
    for &(value, weight, _) in wishes {
        let mut pool = (value, weight, 1);
        while let Some(last) = pools.pop_if(|last| last.0 > pool.0) {
            let weight = last.1 + pool.1;
            pool = ((last.0 * last.1 + pool.0 * pool.1) / weight, weight, last.2 + pool.2);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(value, _, n)| std::iter::repeat_n(value, n)).collect()
}

#[cfg(test)]
mod tests {
    use super::isotonic;

    #[test]
    fn values_out_of_order_are_pooled() {
        assert_eq!(isotonic(&[(1.0, 1.0, 0.0), (5.0, 1.0, 0.0), (2.0, 2.0, 0.0), (9.0, 1.0, 0.0)]), [1.0, 3.0, 3.0, 9.0]);
    }
}
