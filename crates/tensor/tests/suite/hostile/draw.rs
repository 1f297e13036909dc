//! Arguments that make no sense, from a seed. Sizes are either small or more than any machine has memory for, so that no draw
//! takes memory.

use gradus_tensor::shape::{AnyAxes, AnyAxis, Axis, DimList, Dims};
use gradus_tensor::{Element, Num, Shape, Tensor};
use std::ops::Bound;

/// Numbers that no size should be, for arguments that take no memory.
const HUGE: [usize; 12] = [
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    1 << 40,
    1 << 48,
    1 << 59,
    (1 << 60) - 1,
    (1 << 61) - 1,
    1 << 62 | 1,
    isize::MAX as usize,
    1 << 63,
    usize::MAX,
];
/// Of these, what no memory holds, of bytes neither.
const VAST: &[usize] = HUGE.split_at(4).1;
/// Numbers that are special to floats.
const FLOATS: [f64; 12] = [0.0, -0.0, 1.0, -2.5, 3.5, 1e-320, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 9.3e18];

pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn of<A: Copy>(&mut self, list: &[A]) -> A {
        list[self.below(list.len())]
    }

    pub fn small(&mut self) -> usize {
        self.of(&[0, 1, 1, 2, 3, 4, 5, 7])
    }

    /// A size that takes memory.
    pub fn count(&mut self) -> usize {
        if self.once_in(4) { self.of(VAST) } else { self.small() }
    }

    /// A number that takes none.
    pub fn number(&mut self) -> usize {
        if self.once_in(4) { self.of(&HUGE) } else { self.small() }
    }

    pub fn signed(&mut self) -> isize {
        match self.below(8) {
            0 => isize::MIN,
            1 => isize::MAX,
            2 => -(self.of(&HUGE[..7]) as isize),
            3 => self.of(&HUGE[..7]) as isize,
            _ => self.below(13) as isize - 6,
        }
    }

    pub fn label(&mut self) -> i64 {
        if self.once_in(12) { self.signed() as i64 } else { self.below(3) as i64 }
    }

    pub fn float(&mut self) -> f64 {
        self.of(&FLOATS)
    }

    pub fn axis(&mut self) -> AnyAxis {
        match self.below(8) {
            0 => AnyAxis::Unsigned(self.of(&HUGE)),
            1 => AnyAxis::Signed(self.signed()),
            2 => self.of(&[i32::MIN, i32::MAX, -1]).any(),
            3 | 4 => AnyAxis::Signed(self.below(7) as isize - 4),
            _ => AnyAxis::Unsigned(self.below(4)),
        }
    }

    pub fn axes(&mut self) -> AnyAxes {
        if self.once_in(4) {
            return AnyAxes::All;
        }
        let n = self.below(4);
        AnyAxes::List((0..n).map(|_| self.axis()).collect())
    }

    pub fn dims(&mut self) -> AnyDims {
        let n = self.below(5);
        if self.once_in(2) {
            return AnyDims::Unsigned((0..n).map(|_| self.number()).collect());
        }
        let dim = |d: &mut Self| if d.once_in(2) { d.of(&[-1, -1, 1, 2, 6, 12]) } else { d.signed() };
        AnyDims::Signed((0..n).map(|_| dim(self)).collect())
    }

    pub fn range(&mut self) -> (Bound<usize>, Bound<usize>) {
        let mut bound = || match self.below(4) {
            0 => Bound::Unbounded,
            1 => Bound::Excluded(self.number()),
            _ => Bound::Included(self.number()),
        };
        (bound(), bound())
    }

    pub fn pair(&mut self) -> [usize; 2] {
        [self.number(), self.number()]
    }

    /// A shape of small sizes.
    pub fn small_shape(&mut self) -> Vec<usize> {
        let rank = self.below(5);
        (0..rank).map(|_| self.small()).collect()
    }

    /// A shape that may be no tensor's.
    pub fn shape(&mut self) -> Shape {
        let rank = self.below(5);
        (0..rank).map(|_| self.count()).collect()
    }

    /// A list of sizes for functions that allocate nothing.
    pub fn sizes(&mut self) -> Vec<usize> {
        let rank = self.below(5);
        (0..rank).map(|_| self.number()).collect()
    }

    /// A value of any number type, extremes among them.
    pub fn value<T: Num>(&mut self) -> T {
        match self.below(6) {
            0 => T::LOWEST,
            1 => T::HIGHEST,
            2 => T::from_f64(self.float()),
            _ => T::from_f64(self.below(5) as f64 - 2.0),
        }
    }

    /// A tensor of this shape: in order, or seen through views.
    pub fn tensor_of<T: Num>(&mut self, shape: &[usize]) -> Tensor<T> {
        let wide: Vec<usize> = shape.iter().map(|n| 2 * n).collect();
        let double = self.once_in(4);
        let of = if double { &wide[..] } else { shape };
        let data = (0..of.iter().product()).map(|_| self.value()).collect();
        let mut x = Tensor::from_vec(data, of);
        for axis in 0..if double { shape.len() } else { 0 } {
            x = x.slice_step(axis, .., if self.once_in(2) { 2 } else { -2 });
        }
        x
    }

    /// Any tensor: a small one, a broadcast one that is larger than any memory, or an empty one with huge axes.
    pub fn tensor<T: Num>(&mut self) -> Tensor<T> {
        let shape = self.small_shape();
        match self.below(8) {
            0 => {
                let one: Vec<usize> = shape.iter().map(|_| 1).collect();
                let grown: Shape = shape.iter().map(|&n| if self.once_in(2) { 1 << 48 } else { n }).collect();
                let x = self.tensor_of(&one);
                if grown.clone().checked("").is_ok() { x.expand(grown) } else { x }
            }
            1 => {
                let mut huge: Shape = shape.iter().map(|&n| if self.once_in(3) { 1 << 48 } else { n }).collect();
                huge.push(0);
                let last = huge.rank() - 1;
                let at = self.below(huge.rank());
                huge.swap(at, last);
                if huge.clone().checked("").is_ok() { Tensor::zeros(huge) } else { self.tensor_of(&shape) }
            }
            2 if shape.len() > 1 => self.tensor_of(&shape).transpose(0, -1),
            _ => self.tensor_of(&shape),
        }
    }

    /// A tensor that often goes with one of `shape`.
    pub fn beside<T: Num>(&mut self, shape: &[usize]) -> Tensor<T> {
        let numel = gradus_tensor::shape::checked_numel(shape).unwrap_or(usize::MAX);
        match self.below(4) {
            0 => self.tensor(),
            _ if numel < 10_000 => self.tensor_of(shape),
            _ => Tensor::full(shape, self.value()),
        }
    }

    pub fn indices(&mut self) -> Tensor<i64> {
        let shape = self.small_shape();
        self.indices_of(&shape)
    }

    pub fn indices_of(&mut self, shape: &[usize]) -> Tensor<i64> {
        let n = shape.iter().product();
        Tensor::from_vec((0..n).map(|_| self.label()).collect(), shape)
    }

    pub fn mask<T: Element>(&mut self, beside: &Tensor<T>) -> Tensor<bool> {
        let shape = if self.once_in(3) { self.small_shape() } else { beside.shape()[..beside.rank().min(2)].to_vec() };
        let some = self.once_in(2);
        if gradus_tensor::shape::checked_numel(&shape).is_some_and(|n| n < 10_000) {
            return Tensor::from_fn(&shape[..], |i| (i.iter().sum::<usize>() % 2 == 0) == some);
        }
        Tensor::full(&shape[..], some)
    }
}

/// A reshape's target of either type.
pub enum AnyDims {
    Unsigned(Vec<usize>),
    Signed(Vec<isize>),
}

impl Dims for AnyDims {
    fn dims(&self) -> Result<DimList, isize> {
        match self {
            Self::Unsigned(d) => (&d[..]).dims(),
            Self::Signed(d) => (&d[..]).dims(),
        }
    }
}
