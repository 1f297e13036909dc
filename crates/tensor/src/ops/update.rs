//! Changing a tensor in place, with companions: what an optimiser's step is made of.

use crate::compiled_once::compiled_once;
use crate::element::Element;
use crate::error::{OrPanic, ShapeError};
use crate::kernels::fused;
use crate::tensor::Tensor;

#[compiled_once]
impl<T: Element> Tensor<T> {
    /// Calls `f(&mut w, g, [&mut s, …])` with the elements at each position of this tensor, of `g`, and of
    /// each tensor of `state`: one pass over the memory of all, compiled for the processor's widest vectors.
    /// A buffer that is shared is copied before it is written.
    ///
    /// # Panics
    /// When the shapes are not all the same.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let (mut w, mut v) = (Tensor::from([1.0f32, 2.0]), Tensor::zeros([2]));
    /// let g = Tensor::from([0.5, -0.5]);
    /// w.update_with(&g, [&mut v], |w, g, [v]| {
    ///     *v = 0.9 * *v - 0.1 * g;
    ///     *w += *v;
    /// });
    /// assert_eq!(w.to_vec(), [0.95, 2.05]);
    /// ```
    #[track_caller]
    pub fn update_with<const N: usize>(
        &mut self,
        g: &Tensor<T>,
        state: [&mut Tensor<T>; N],
        f: impl Fn(&mut T, T, [&mut T; N]) + Copy + Send + Sync,
    ) {
        self.check_update(g, &state).or_panic();
        let g = g.contiguous();
        let g = g.as_slice().expect("just made contiguous");
        fused::update(self.as_mut_slice(), g, state.map(|s| s.as_mut_slice()), f);
    }

    fn check_update<const N: usize>(&self, g: &Tensor<T>, state: &[&mut Tensor<T>; N]) -> Result<(), ShapeError> {
        let others = std::iter::once(g.shape()).chain(state.iter().map(|s| s.shape()));
        for (i, shape) in others.enumerate() {
            if shape != self.shape() {
                let who = if i == 0 { "g".to_string() } else { format!("state[{}]", i - 1) };
                let detail = format!("{who} has shape {shape}; wanted {}, as that which is updated", self.shape());
                return Err(ShapeError::new("update_with", detail));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;
    use proptest::prelude::*;

    fn naive(w: &mut [f64], g: &[f64], a: &mut [f64], b: &mut [f64]) {
        for i in 0..w.len() {
            a[i] = 0.9 * a[i] + 0.1 * g[i];
            b[i] = b[i].max(g[i] * w[i]);
            w[i] -= a[i] / (b[i].abs().sqrt() + 1e-3);
        }
    }

    fn agrees(w: Tensor<f64>, g: Tensor<f64>, a: Tensor<f64>, b: Tensor<f64>) {
        let before = [&w, &a, &b].map(|t| t.to_vec());
        let (mut lw, lg, mut la, mut lb) = (w.to_vec(), g.to_vec(), a.to_vec(), b.to_vec());
        naive(&mut lw, &lg, &mut la, &mut lb);
        let (mut nw, mut na, mut nb) = (w.clone(), a.clone(), b.clone());
        nw.update_with(&g, [&mut na, &mut nb], |w, g, [a, b]| {
            *a = 0.9 * *a + 0.1 * g;
            *b = b.max(g * *w);
            *w -= *a / (b.abs().sqrt() + 1e-3);
        });
        assert_eq!([nw.to_vec(), na.to_vec(), nb.to_vec()], [lw, la, lb]);
        assert_eq!([w.to_vec(), a.to_vec(), b.to_vec()], before, "the clones must not change");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn equals_the_naive_loop_on_any_layout(rows in 0usize..40, cols in 0usize..12, seed in 0u64..1000) {
            let mut rng = Rng::seed(seed);
            let t = |rng: &mut Rng| Tensor::<f64>::normal([rows, cols], 0.0, 1.0, rng);
            let (w, a) = (t(&mut rng), t(&mut rng));
            let g = Tensor::<f64>::normal([cols, rows], 0.0, 1.0, &mut rng).t();
            let b = Tensor::<f64>::normal([rows, 2 * cols], 0.0, 1.0, &mut rng).slice_step(1, .., -2);
            agrees(w, g, a, b);
        }
    }

    #[test]
    fn equals_the_naive_loop_when_split_into_tasks() {
        for n in [63, 64, 65, 1 << 16, (1 << 16) + 1, 200_003] {
            let mut rng = Rng::seed(n as u64);
            let mut t = || Tensor::<f64>::normal([n], 0.0, 1.0, &mut rng);
            agrees(t(), t(), t(), t());
        }
    }

    #[test]
    fn works_without_state_and_in_place() {
        let mut w = Tensor::from([1.0f32, 2.0]);
        let at = w.as_mut_slice().as_ptr();
        w.update_with(&Tensor::full([2], 1.0), [], |w, g, []| *w -= g);
        assert_eq!(w.to_vec(), [0.0, 1.0]);
        assert_eq!(w.as_mut_slice().as_ptr(), at);
    }

    #[test]
    #[should_panic(expected = "state[0] has shape [3]; wanted [2]")]
    fn refuses_shapes_that_differ() {
        let mut w = Tensor::from([1.0f32, 2.0]);
        w.update_with(&Tensor::ones([2]), [&mut Tensor::ones([3])], |w, g, [_]| *w -= g);
    }
}
