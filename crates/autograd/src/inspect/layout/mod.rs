//! Where the boxes of a picture stand and its lines run: in layers, from older to newer (Sugiyama, Tagawa and Toda 1981,
//! "Methods for visual understanding of hierarchical system structures").
//!
//! 1. Each box gets a rank: below all that it is made of, and no further above its readers than it must be.
//! 2. A line over several ranks gets a place of its own in each rank that it passes; lines from one box share them.
//! 3. Barycentric sweeps order the ranks so that few lines cross.
//! 4. Each rank's places are set where they are nearest to their neighbours' in the mean square, without overlap, which
//!    is an isotonic regression; sweeps over all ranks.
//!
//! Lines bend between ranks only and run straight down within one, so that none runs through a box.

mod order;
mod place;

use order::order;
use place::place;

/// Between boxes of a rank, and between ranks.
const GAP: [f64; 2] = [26.0, 38.0];
/// A line ends with so much straight down, for its arrow.
const ARROW: f64 = 8.0;
/// What a line takes of the room in a rank that it passes.
const LINE: f64 = 6.0;

/// A box; `x` and `y` are its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

/// A piece of a line between neighbouring ranks: straight down from `from` to the end of the rank, a bend, and straight
/// down to `to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Link {
    pub from: [f64; 2],
    pub to: [f64; 2],
    /// Where the bend begins and ends, downwards.
    pub bend: [f64; 2],
    /// The box in which it ends, if it does.
    pub into: Option<usize>,
    /// The box from which the line comes.
    pub source: usize,
}

pub(crate) struct Layout {
    pub boxes: Vec<Rect>,
    pub links: Vec<Link>,
    pub width: f64,
    pub height: f64,
}

/// A box or the place of a passing line.
struct Item {
    rank: usize,
    width: f64,
    /// The box, or that from which the line comes.
    node: usize,
    passes: bool,
    above: Vec<usize>,
    below: Vec<usize>,
    /// Of the items above, the one that most has been computed for: it is to be straight above.
    main: Option<usize>,
}

/// Sets out boxes of these `[width, height]`; `inputs` are the numbers of the boxes above each, all less than its own.
pub(crate) fn layout(sizes: &[[f64; 2]], inputs: &[Vec<usize>]) -> Layout {
    let ranks = ranks(inputs);
    let items = items(sizes, inputs, &ranks);
    let mut layers = vec![Vec::new(); ranks.iter().max().map_or(0, |r| r + 1)];
    for i in first_order(&items, sizes.len()) {
        layers[items[i].rank].push(i);
    }
    let sweeps = if items.len() <= 2000 { 24 } else { 4 };
    order(&items, &mut layers, sweeps);
    let xs = place(&items, &layers, sweeps);
    draw(sizes, &items, &layers, &xs)
}

/// The rank of each box: below its inputs; one with fewer inputs than readers goes down to its first reader.
fn ranks(inputs: &[Vec<usize>]) -> Vec<usize> {
    let mut ranks: Vec<usize> = Vec::with_capacity(inputs.len());
    let mut readers = vec![Vec::new(); inputs.len()];
    for (node, inputs) in inputs.iter().enumerate() {
        ranks.push(inputs.iter().map(|&i| ranks[i] + 1).max().unwrap_or(0));
        for &i in inputs {
            readers[i].push(node);
        }
    }
    for node in (0..inputs.len()).rev() {
        if let Some(first) = readers[node].iter().map(|&r| ranks[r]).min()
            && readers[node].len() >= inputs[node].len()
        {
            ranks[node] = first - 1;
        }
    }
    let top = ranks.iter().min().copied().unwrap_or(0);
    ranks.iter().map(|r| r - top).collect()
}

/// The boxes, by their numbers, and after them the places of passing lines.
fn items(sizes: &[[f64; 2]], inputs: &[Vec<usize>], ranks: &[usize]) -> Vec<Item> {
    let new = |node: usize, rank, width, passes| Item { rank, width, node, passes, above: vec![], below: vec![], main: None };
    let mut items: Vec<Item> = (0..sizes.len()).map(|n| new(n, ranks[n], sizes[n][0], false)).collect();
    // How many boxes the longest way to each has.
    let mut depth = vec![0; sizes.len()];
    // For each box, the places of its line in the ranks after its own.
    let mut lines: Vec<Vec<usize>> = vec![Vec::new(); sizes.len()];
    for (node, inputs) in inputs.iter().enumerate() {
        let main = inputs.iter().copied().rev().max_by_key(|&i| depth[i]);
        depth[node] = main.map_or(0, |i| depth[i] + 1);
        for &input in inputs {
            while ranks[input] + lines[input].len() + 1 < ranks[node] {
                let above = *lines[input].last().unwrap_or(&input);
                let here = items.len();
                items.push(new(input, items[above].rank + 1, LINE, true));
                items[above].below.push(here);
                items[here].above.push(above);
                items[here].main = Some(above);
                lines[input].push(here);
            }
            let passed = ranks[node] - ranks[input] - 1;
            let above = if passed == 0 { input } else { lines[input][passed - 1] };
            items[above].below.push(node);
            items[node].above.push(above);
            if main == Some(input) {
                items[node].main = Some(above);
            }
        }
    }
    items
}

/// All items in the order in which a walk from the last box meets them: inputs from left to right.
fn first_order(items: &[Item], boxes: usize) -> Vec<usize> {
    let mut met = vec![false; items.len()];
    let mut order = Vec::with_capacity(items.len());
    for root in (0..boxes).rev() {
        let mut stack = vec![root];
        while let Some(i) = stack.pop() {
            if !met[i] {
                met[i] = true;
                order.push(i);
                stack.extend(items[i].above.iter().rev());
            }
        }
    }
    order
}

fn draw(sizes: &[[f64; 2]], items: &[Item], layers: &[Vec<usize>], xs: &[f64]) -> Layout {
    let left = items.iter().zip(xs).map(|(item, x)| x - item.width / 2.0).fold(f64::INFINITY, f64::min);
    let x = |i: usize| xs[i] - left;
    // From where to where each layer reaches, downwards.
    let mut bands: Vec<[f64; 2]> = Vec::with_capacity(layers.len());
    for layer in layers {
        let top = bands.last().map_or(0.0, |b| b[1] + GAP[1]);
        let height = layer.iter().filter(|&&i| !items[i].passes).map(|&i| sizes[i][1]).fold(0.0, f64::max);
        bands.push([top, top + height]);
    }
    let boxes: Vec<Rect> = sizes
        .iter()
        .enumerate()
        .map(|(n, &[w, h])| {
            let [top, bottom] = bands[items[n].rank];
            Rect { x: x(n) - w / 2.0, y: (top + bottom - h) / 2.0, w, h }
        })
        .collect();
    let mut links = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let mut above = item.above.clone();
        above.sort_by(|&a, &b| xs[a].total_cmp(&xs[b]));
        let spread = (item.width / 2.0 / (above.len() + 1) as f64).min(16.0);
        let main = above.iter().position(|&a| Some(a) == item.main).unwrap_or(0);
        for (k, &a) in above.iter().enumerate() {
            let [band_above, band] = [bands[items[a].rank], bands[item.rank]];
            let from = if items[a].passes { band_above[0] } else { boxes[a].y + boxes[a].h };
            let to = if item.passes { band[0] } else { boxes[i].y };
            let shift = if item.passes { 0.0 } else { (k as f64 - main as f64) * spread };
            links.push(Link {
                from: [x(a), from],
                to: [x(i) + shift, to],
                bend: [band_above[1], band[0] - if item.passes { 0.0 } else { ARROW }],
                into: (!item.passes).then_some(item.node),
                source: items[a].node,
            });
        }
    }
    let width = items.iter().enumerate().map(|(i, item)| x(i) + item.width / 2.0).fold(0.0, f64::max);
    Layout { boxes, links, width, height: bands.last().map_or(0.0, |b| b[1]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradus_tensor::Rng;

    /// A random tape: each box reads up to three older ones, near or far.
    fn random_inputs(n: usize, rng: &mut Rng) -> Vec<Vec<usize>> {
        (0..n)
            .map(|i| {
                (0..rng.below(4).min(i))
                    .map(|_| if rng.below(3) == 0 { rng.below(i) } else { i - 1 - rng.below(i.min(4)) })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn no_boxes_overlap_and_no_line_runs_through_one() {
        for seed in 0..300 {
            let rng = &mut Rng::seed(seed);
            let inputs = random_inputs(1 + rng.below(40), rng);
            let sizes: Vec<[f64; 2]> =
                inputs.iter().map(|_| [20.0 + rng.below(150) as f64, 20.0 + rng.below(60) as f64]).collect();
            let picture = layout(&sizes, &inputs);
            for (i, a) in picture.boxes.iter().enumerate() {
                assert!(a.x >= -1e-6 && a.y >= 0.0 && a.x + a.w <= picture.width + 1e-6 && a.y + a.h <= picture.height + 1e-6);
                for b in &picture.boxes[i + 1..] {
                    let beside = a.x + a.w + 20.0 <= b.x || b.x + b.w + 20.0 <= a.x;
                    let above = a.y + a.h + 20.0 <= b.y || b.y + b.h + 20.0 <= a.y;
                    assert!(beside || above, "seed {seed}: {a:?} and {b:?}");
                }
            }
            for link in &picture.links {
                assert!(link.from[1] <= link.bend[0] && link.bend[0] < link.bend[1] && link.bend[1] <= link.to[1]);
                for (n, b) in picture.boxes.iter().enumerate() {
                    // Bends are between the ranks, where no box is.
                    assert!(
                        b.y >= link.bend[1] - 1e-6 || b.y + b.h <= link.bend[0] + 1e-6,
                        "seed {seed}: box {n} {b:?} at a bend of {link:?}"
                    );
                    let hit = |x: f64, ys: [f64; 2]| b.x < x && x < b.x + b.w && b.y < ys[1] - 1e-6 && ys[0] + 1e-6 < b.y + b.h;
                    assert!(!hit(link.from[0], [link.from[1], link.bend[0]]) && !hit(link.to[0], [link.bend[1], link.to[1]]));
                }
            }
            let into: usize = picture.links.iter().filter(|l| l.into.is_some()).count();
            assert_eq!(into, inputs.iter().map(Vec::len).sum::<usize>());
            for link in picture.links.iter().filter(|l| l.into.is_some()) {
                let node = link.into.unwrap();
                assert!(inputs[node].contains(&link.source), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_chain_is_straight() {
        let chain: Vec<Vec<usize>> = (0..6).map(|i| if i == 0 { vec![] } else { vec![i - 1] }).collect();
        let picture = layout(&[[50.0, 20.0]; 6], &chain);
        assert!(picture.boxes.iter().all(|b| (b.x - picture.boxes[0].x).abs() < 1e-6));
    }
}
