//! The order of the places in each layer, so that few lines cross.

use super::Item;

/// Orders each layer by the mean position of the neighbours in the layer before, then after, and so on; keeps the order
/// with the fewest crossings.
pub(super) fn order(items: &[Item], layers: &mut [Vec<usize>], sweeps: usize) {
    let mut position = vec![0.0; items.len()];
    let number = |layer: &[usize], position: &mut [f64]| {
        for (p, &i) in layer.iter().enumerate() {
            position[i] = p as f64;
        }
    };
    layers.iter().for_each(|layer| number(layer, &mut position));
    let (mut best, mut fewest) = (layers.to_vec(), crossings(items, layers, &position));
    for sweep in 0..sweeps {
        if fewest == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        for step in 1..layers.len() {
            let layer = if down { step } else { layers.len() - 1 - step };
            let layer = &mut layers[layer];
            let mut keyed: Vec<(f64, usize)> = layer.iter().map(|&i| (barycentre(&items[i], i, down, &position), i)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *layer = keyed.into_iter().map(|(_, i)| i).collect();
            number(layer, &mut position);
        }
        let now = crossings(items, layers, &position);
        if now < fewest {
            (best, fewest) = (layers.to_vec(), now);
        }
    }
    layers.clone_from_slice(&best);
}

/// The mean position of an item's neighbours on one side; its own when there is none.
fn barycentre(item: &Item, i: usize, above: bool, position: &[f64]) -> f64 {
    let near = if above { &item.above } else { &item.below };
    if near.is_empty() {
        return position[i];
    }
    near.iter().map(|&n| position[n]).sum::<f64>() / near.len() as f64
}

/// How many pairs of lines between neighbouring layers cross.
fn crossings(items: &[Item], layers: &[Vec<usize>], position: &[f64]) -> usize {
    let mut total = 0;
    for layer in layers {
        // Ends in the layer below, in the order of the beginnings; a pair of ends out of order is a crossing.
        let mut ends = Vec::new();
        for &i in layer {
            let first = ends.len();
            ends.extend(items[i].below.iter().map(|&b| position[b] as usize));
            ends[first..].sort_unstable();
        }
        // How many ends seen so far are at each position, as a binary indexed tree.
        let size = ends.iter().max().map_or(0, |m| m + 1);
        let mut tree = vec![0; size + 1];
        for (seen, end) in ends.into_iter().enumerate() {
            let (mut at, mut not_right) = (end + 1, 0);
            while at > 0 {
                not_right += tree[at];
                at &= at - 1;
            }
            total += seen - not_right;
            at = end + 1;
            while at <= size {
                tree[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::{items, ranks};
    use super::*;

    #[test]
    fn a_ladder_has_no_crossing() {
        // Two chains that a bad order would braid.
        let ladder = [vec![], vec![], vec![1], vec![0], vec![3], vec![2], vec![4, 5]];
        let items = items(&[[50.0, 20.0]; 7], &ladder, &ranks(&ladder));
        let mut layers = vec![vec![0, 1], vec![2, 3], vec![4, 5], vec![6]];
        order(&items, &mut layers, 24);
        let mut position = vec![0.0; 7];
        layers.iter().flat_map(|l| l.iter().enumerate()).for_each(|(p, &i)| position[i] = p as f64);
        assert_eq!(crossings(&items, &layers, &position), 0);
    }

    #[test]
    fn crossings_are_counted() {
        // Both layers in order, every box of the first to every box of the second: n over 2 squared.
        let inputs = [vec![], vec![], vec![], vec![0, 1, 2], vec![0, 1, 2], vec![0, 1, 2]];
        let items = items(&[[10.0, 10.0]; 6], &inputs, &[0, 0, 0, 1, 1, 1]);
        let position = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0];
        assert_eq!(crossings(&items, &[vec![0, 1, 2], vec![3, 4, 5]], &position), 9);
    }
}
