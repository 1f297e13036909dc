//! A plain model of tensors, values in row-major order and nothing else, to compare with.

use gradus_tensor::{Element, Num, Tensor};
use proptest::prelude::*;

/// An array without views: what a tensor must look like from outside.
#[derive(Clone, Debug)]
pub struct Model<T> {
    pub shape: Vec<usize>,
    pub data: Vec<T>,
}

/// Every index of `shape` in row-major order.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &n in shape {
        all = all.iter().flat_map(|i| (0..n).map(move |k| [&i[..], &[k]].concat())).collect();
    }
    all
}

impl<T: Element> Model<T> {
    pub fn from_fn(shape: &[usize], mut f: impl FnMut(&[usize]) -> T) -> Self {
        Self { shape: shape.to_vec(), data: indices(shape).iter().map(|i| f(i)).collect() }
    }

    pub fn at(&self, index: &[usize]) -> T {
        assert_eq!(index.len(), self.shape.len());
        self.data[index.iter().zip(&self.shape).fold(0, |at, (i, n)| at * n + i)]
    }

    /// The value that broadcasting shows at `index` of a larger shape.
    pub fn broadcast_at(&self, index: &[usize]) -> T {
        let own: Vec<usize> = index[index.len() - self.shape.len()..].to_vec();
        let clipped: Vec<usize> = own.iter().zip(&self.shape).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
        self.at(&clipped)
    }

    pub fn agrees(&self, x: &Tensor<T>) {
        assert_eq!(x.shape()[..], self.shape[..]);
        assert_eq!(x.to_vec(), self.data);
    }
}

/// Shapes of up to 5 axes, with sizes 0 and 1 among them.
pub fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1 => Just(0usize), 4 => Just(1usize), 12 => 2usize..6], 0..=5)
}

/// As [`shapes`], without empty axes.
pub fn full_shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1 => Just(1usize), 4 => 2usize..6], 0..=5)
}

/// A chain of views: which one, and numbers that settle its arguments.
pub fn chains() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::vec((0u8..9, any::<u64>()), 0..6)
}

/// Numbers drawn from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        let drawn = self.0 % n as u64;
        self.0 = self.0.rotate_right(17).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ drawn;
        drawn as usize
    }
}

/// The tensor `0, 1, 2 …` of `shape` and its model, seen through a chain of views.
pub fn viewed<T: Num>(shape: &[usize], chain: &[(u8, u64)]) -> (Tensor<T>, Model<T>) {
    let n: usize = shape.iter().product();
    let data: Vec<T> = (0..n).map(|i| T::from_f64((i as f64 * 7.0) % 101.0 - 50.0)).collect();
    let start = (Tensor::from_vec(data.clone(), shape), Model { shape: shape.to_vec(), data });
    chain.iter().fold(start, |(x, m), &(kind, seed)| view(x, m, kind, &mut Draw(seed)))
}

fn view<T: Element>(x: Tensor<T>, m: Model<T>, kind: u8, draw: &mut Draw) -> (Tensor<T>, Model<T>) {
    let shape = m.shape.clone();
    let rank = shape.len();
    if rank == 0 && !matches!(kind, 3 | 5 | 7) {
        return (x, m);
    }
    match kind {
        0 => {
            let mut order: Vec<usize> = (0..rank).collect();
            for i in (1..rank).rev() {
                order.swap(i, draw.below(i + 1));
            }
            let new: Vec<usize> = order.iter().map(|&a| shape[a]).collect();
            let model = Model::from_fn(&new, |i| {
                let mut from = vec![0; rank];
                order.iter().zip(i).for_each(|(&a, &k)| from[a] = k);
                m.at(&from)
            });
            (x.permute(&order), model)
        }
        1 => {
            let axis = draw.below(rank);
            let start = draw.below(shape[axis] + 1);
            let end = start + draw.below(shape[axis] - start + 1);
            let step = [-3isize, -2, -1, 1, 2, 3][draw.below(6)];
            let mut kept: Vec<usize> = (start..end).collect();
            if step < 0 {
                kept.reverse();
            }
            let kept: Vec<usize> = kept.into_iter().step_by(step.unsigned_abs()).collect();
            let mut new = shape;
            new[axis] = kept.len();
            let model = Model::from_fn(&new, |i| {
                let mut from = i.to_vec();
                from[axis] = kept[i[axis]];
                m.at(&from)
            });
            (x.slice_step(axis, start..end, step), model)
        }
        2 => {
            let axis = draw.below(rank);
            let model = Model::from_fn(&shape, |i| {
                let mut from = i.to_vec();
                from[axis] = shape[axis] - 1 - i[axis];
                m.at(&from)
            });
            (x.flip(axis), model)
        }
        3 => {
            let mut new: Vec<usize> = shape.iter().map(|&n| if n == 1 { draw.below(4) } else { n }).collect();
            if rank < 5 {
                new.insert(0, draw.below(3));
            }
            if new.iter().product::<usize>() > 4000 {
                return (x, m);
            }
            (x.expand(&new[..]), Model::from_fn(&new, |i| m.broadcast_at(i)))
        }
        4 if rank >= 2 => {
            let offset = draw.below(7) as isize - 3;
            let (down, right) = ((-offset).max(0) as usize, offset.max(0) as usize);
            let mut new = shape[..rank - 2].to_vec();
            new.push(shape[rank - 2].saturating_sub(down).min(shape[rank - 1].saturating_sub(right)));
            let model = Model::from_fn(&new, |i| {
                let (k, outer) = i.split_last().expect("one axis or more");
                m.at(&[outer, &[k + down, k + right]].concat())
            });
            (x.diagonal(offset), model)
        }
        5 if rank < 5 => {
            let axis = draw.below(rank + 1);
            let mut new = shape;
            new.insert(axis, 1);
            (x.unsqueeze(axis), Model { shape: new, data: m.data })
        }
        6 => {
            let new = shape.iter().copied().filter(|&n| n != 1).collect();
            (x.squeeze(..), Model { shape: new, data: m.data })
        }
        7 => {
            let n: usize = shape.iter().product();
            let mut new = vec![];
            let mut left = n;
            for _ in 0..draw.below(4) {
                let divisors: Vec<usize> = (1..=left).filter(|&d| left.is_multiple_of(d)).collect();
                if let Some(&d) = divisors.get(draw.below(divisors.len().max(1))) {
                    new.push(d);
                    left /= d;
                }
            }
            new.push(left);
            (x.reshape(&new[..]), Model { shape: new, data: m.data })
        }
        8 => {
            let axis = draw.below(rank);
            if shape[axis] == 0 {
                return (x, m);
            }
            let index = draw.below(shape[axis]);
            let mut new = shape;
            new.remove(axis);
            let model = Model::from_fn(&new, |i| {
                let mut from = i.to_vec();
                from.insert(axis, index);
                m.at(&from)
            });
            (x.select(axis, index), model)
        }
        _ => (x, m),
    }
}

/// The message that `f` panics with.
pub fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    let Err(payload) = caught else { panic!("no panic") };
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| (*payload.downcast_ref::<&str>().expect("a text")).to_owned())
}

/// `f` on a pool of so many threads.
pub fn on_threads<R: Send>(n: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("a pool").install(f)
}
