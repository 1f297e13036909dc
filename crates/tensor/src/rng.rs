//! Random numbers: the same seed gives the same numbers on every platform and any number of threads.

use crate::buffer::no_memory;
use crate::compiled_once::compiled_once;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::parallel::{Parts, chunks_mut};
use crate::shape::Shape;
use crate::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};

/// A seedable source of random numbers (ChaCha with 8 rounds, by the `rand_chacha` crate).
///
/// Single numbers come from stream 0 of the cipher in order. Each tensor is drawn from a stream of its
/// own, in which element `i` has a fixed place: threads can fill it in any order.
///
/// ```
/// use gradus_tensor::{Rng, Tensor};
/// let mut rng = Rng::seed(7);
/// let a = Tensor::<f32>::normal([2, 3], 0.0, 1.0, &mut rng);
/// let b = Tensor::<f32>::normal([2, 3], 0.0, 1.0, &mut rng);
/// assert!(a != b);
/// assert_eq!(a, Tensor::normal([2, 3], 0.0, 1.0, &mut Rng::seed(7)));
/// ```
#[derive(Clone, Debug)]
pub struct Rng {
    numbers: ChaCha8Rng,
    tensors: u64,
}

/// Where an [`Rng`] stands, to be stored and continued from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RngState {
    /// The cipher's key.
    pub key: [u8; 32],
    /// How many 32-bit words single numbers have used.
    pub words: u64,
    /// How many tensors have been drawn.
    pub tensors: u64,
}

impl Rng {
    /// A source that depends on `seed` alone.
    #[doc(alias("manual_seed", "Generator", "set_random_seed", "PRNGKey", "random.key"))]
    pub fn seed(seed: u64) -> Self {
        // SplitMix64 (Steele, Lea and Flood 2014) spreads the seed over the key.
        let mut state = seed;
        let mut key = [0; 32];
        for chunk in key.chunks_exact_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
        }
        Self { numbers: ChaCha8Rng::from_seed(key), tensors: 0 }
    }

    /// A source independent of this one, which moves on by one key.
    pub fn split(&mut self) -> Self {
        let mut key = [0; 32];
        self.numbers.fill_bytes(&mut key);
        Self { numbers: ChaCha8Rng::from_seed(key), tensors: 0 }
    }

    /// Where the source stands.
    #[doc(alias = "get_rng_state")]
    pub fn state(&self) -> RngState {
        RngState { key: self.numbers.get_seed(), words: self.numbers.get_word_pos() as u64, tensors: self.tensors }
    }

    /// The source that stands at `state`.
    #[doc(alias = "set_rng_state")]
    pub fn from_state(state: &RngState) -> Self {
        let mut numbers = ChaCha8Rng::from_seed(state.key);
        numbers.set_word_pos(u128::from(state.words));
        Self { numbers, tensors: state.tensors }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.numbers.next_u64()
    }

    /// A number in `[0, 1)`, of 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * 2f64.powi(-53)
    }

    /// A draw from the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        let (a, b) = (self.next_u64(), self.next_u64());
        box_muller(a, b).0
    }

    /// A whole number below `n`, every one as likely (Lemire 2019).
    ///
    /// # Panics
    /// When `n` is 0.
    #[track_caller]
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            Err(ShapeError::new("below", "no whole number is below 0")).or_panic()
        }
        let n = n as u64;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(n);
            if wide as u64 >= n.wrapping_neg() % n {
                return (wide >> 64) as usize;
            }
        }
    }

    /// Puts the items in random order (Fisher and Yates).
    pub fn shuffle<I>(&mut self, items: &mut [I]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// `0..n` in random order.
    ///
    /// # Panics
    /// When the machine has no memory for so many.
    #[track_caller]
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut p = vec![];
        if p.try_reserve_exact(n).is_err() {
            Err(ShapeError::new("permutation", no_memory::<usize>(n))).or_panic()
        }
        p.extend(0..n);
        self.shuffle(&mut p);
        p
    }

    /// Fills `out` from a stream of its own; `f` turns blocks of random 64-bit words into values, two a
    /// pair of words.
    fn fill<T: Send>(&mut self, out: &mut [T], pair: impl Fn(u64, u64) -> (T, T) + Sync) {
        const BLOCK: usize = 1 << 12;
        self.tensors = self.tensors.wrapping_add(1);
        let (origin, stream) = (&self.numbers, self.tensors);
        chunks_mut(out, BLOCK).each(|i, out| {
            let mut rng = origin.clone();
            rng.set_stream(stream);
            rng.set_word_pos((i * BLOCK * 2) as u128);
            let mut pairs = out.chunks_exact_mut(2);
            for p in &mut pairs {
                let (a, b) = pair(rng.next_u64(), rng.next_u64());
                p[0] = a;
                p[1] = b;
            }
            if let [last] = pairs.into_remainder() {
                *last = pair(rng.next_u64(), rng.next_u64()).0;
            }
        });
    }
}

/// Two independent standard normal numbers from 128 random bits (Box and Muller 1958), with functions
/// that give the same bits on every platform.
fn box_muller(a: u64, b: u64) -> (f64, f64) {
    let u = ((a >> 11) + 1) as f64 * 2f64.powi(-53);
    let angle = (b >> 11) as f64 * 2f64.powi(-53) * std::f64::consts::TAU;
    let radius = libm::sqrt(-2.0 * libm::log(u));
    let (sin, cos) = libm::sincos(angle);
    (radius * cos, radius * sin)
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// Independent draws, uniform on `[low, high)`.
    ///
    /// # Panics
    /// When the shape is too large for a tensor, or for the machine's memory.
    #[doc(alias("rand", "rand_like"))]
    #[track_caller]
    pub fn uniform(shape: impl Into<Shape>, low: f64, high: f64, rng: &mut Rng) -> Self {
        let draw = |bits: u64| T::from_f64(low + (bits >> 11) as f64 * 2f64.powi(-53) * (high - low));
        Self::build_for("uniform", shape, |out| rng.fill(out, |a, b| (draw(a), draw(b))))
    }

    /// Independent draws from the normal distribution.
    ///
    /// # Panics
    /// When the shape is too large for a tensor, or for the machine's memory.
    #[doc(alias("randn", "randn_like"))]
    #[track_caller]
    pub fn normal(shape: impl Into<Shape>, mean: f64, std: f64, rng: &mut Rng) -> Self {
        Self::build_for("normal", shape, |out| {
            rng.fill(out, |a, b| {
                let (x, y) = box_muller(a, b);
                (T::from_f64(mean + std * x), T::from_f64(mean + std * y))
            })
        })
    }
}

impl Tensor<i64> {
    /// `0..n` in random order.
    ///
    /// # Panics
    /// When the machine has no memory for so many.
    #[doc(alias = "randperm")]
    #[track_caller]
    pub fn permutation(n: usize, rng: &mut Rng) -> Self {
        let order = rng.permutation(n);
        Self::build_for("permutation", [n], |out| out.iter_mut().zip(order).for_each(|(v, i)| *v = i as i64))
    }

    /// Independent whole numbers, uniform on `[low, high)`.
    ///
    /// # Panics
    /// When the range is empty, or the shape is too large for a tensor or for the machine's memory.
    #[track_caller]
    pub fn randint(shape: impl Into<Shape>, low: i64, high: i64, rng: &mut Rng) -> Self {
        if low >= high {
            Err(ShapeError::new("randint", format!("no whole number lies in {low}..{high}"))).or_panic()
        }
        let span = high.abs_diff(low);
        let draw = |bits: u64| low.wrapping_add_unsigned(((u128::from(bits) * u128::from(span)) >> 64) as u64);
        Self::build_for("randint", shape, |out| rng.fill(out, |a, b| (draw(a), draw(b))))
    }
}

impl Tensor<bool> {
    /// Independent draws, true with probability `p`.
    ///
    /// # Panics
    /// When `p` is not a number from 0 to 1, or the shape is too large for a tensor or for the machine's memory.
    #[track_caller]
    pub fn bernoulli(shape: impl Into<Shape>, p: f64, rng: &mut Rng) -> Self {
        if !(0.0..=1.0).contains(&p) {
            Err(ShapeError::new("bernoulli", format!("the probability is {p}; expected a number from 0 to 1"))).or_panic()
        }
        let draw = |bits: u64| ((bits >> 11) as f64 * 2f64.powi(-53)) < p;
        Self::build_for("bernoulli", shape, |out| rng.fill(out, |a, b| (draw(a), draw(b))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_fixed_for_all_time() {
        // Written down once; a change would silently change every seeded experiment.
        let mut rng = Rng::seed(42);
        let first: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(first, STREAM);
        assert_eq!(Tensor::<f64>::normal([2], 0.0, 1.0, &mut rng).to_vec(), NORMALS);
    }
    const STREAM: [u64; 3] = [3536907876931541756, 1681417456739323905, 17856965759995586207];
    const NORMALS: [f64; 2] = [0.3813827654375979, 0.5689610030100226];

    #[test]
    fn thread_counts_do_not_change_a_tensor() {
        let draw = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Tensor::<f32>::normal([30_001], 0.0, 1.0, &mut Rng::seed(1)))
        };
        assert_eq!(draw(1), draw(3));
    }

    #[test]
    fn a_stored_state_continues_the_stream() {
        let mut rng = Rng::seed(3);
        rng.next_u64();
        let _ = Tensor::<f32>::uniform([5], 0.0, 1.0, &mut rng);
        let mut again = Rng::from_state(&rng.state());
        assert_eq!(rng.next_u64(), again.next_u64());
        let a = Tensor::<f32>::uniform([100], 0.0, 1.0, &mut rng);
        assert_eq!(a, Tensor::uniform([100], 0.0, 1.0, &mut again));
        assert_eq!(rng.state(), again.state());
    }

    #[test]
    fn moments_and_ranges_are_right() {
        let mut rng = Rng::seed(11);
        let n = 200_000;
        let z = Tensor::<f64>::normal([n], 2.0, 3.0, &mut rng);
        assert!((z.mean(..).item() - 2.0).abs() < 0.03 && (z.var(.., 1).item() - 9.0).abs() < 0.1);
        let fourth = ((&z - 2.0) / 3.0).powf(4.0).mean(..).item();
        assert!((fourth - 3.0).abs() < 0.1, "kurtosis {fourth}");
        let u = Tensor::<f32>::uniform([n], -1.0, 2.0, &mut rng);
        assert!(u.min(..).item() >= -1.0 && u.max(..).item() < 2.0 && (u.mean(..).item() - 0.5).abs() < 0.01);
        let k = Tensor::randint([n], -2, 3, &mut rng);
        assert!((-2..3).all(|v| ((k.eq(v as f64).to_num::<i64>().sum(..).item() as f64) / n as f64 - 0.2).abs() < 0.005));
        let b = Tensor::bernoulli([n], 0.3, &mut rng).to_num::<f64>().mean(..).item();
        assert!((b - 0.3).abs() < 0.005);
        let mut p = rng.permutation(1000);
        assert_ne!(p, (0..1000).collect::<Vec<_>>());
        p.sort_unstable();
        assert_eq!(p, (0..1000).collect::<Vec<_>>());
    }
}
