//! A rate for each weight, from the squares of its gradients.

use super::table::{names::*, rules};

rules! {
    /// AdaGrad lowers each weight's learning rate by the gradients that it has seen:
    ///
    /// ```text
    /// g <- g + weight_decay w
    /// h <- h + g²
    /// w <- w - lr / (1 + (t - 1) lr_decay) g / (sqrt(h) + eps)
    /// ```
    ///
    /// Duchi, Hazan and Singer, *Adaptive subgradient methods for online learning and stochastic optimization*, 2011.
    Adagrad(lr = 1e-2) {
        /// How fast the learning rate falls by itself.
        lr_decay(lr_decay: f64 = 0.0) in 0.0..;
        /// The sum of squares before the first step.
        initial_accumulator_value(initial_accumulator_value: f64 = 0.0) in 0.0..;
        /// Added to the divisor for numerical stability.
        eps(eps: f64 = 1e-10) in 0.0..;
    }
    state AdagradState(self, w) {
        /// The sum of squared gradients.
        sum: Tensor<T> = Tensor::full(w.shape().clone(), T::lit(self.initial_accumulator_value)),
    }
    largest_gradient = largest_square_root();
    update(self, step, w, g, s) {
        let lr = T::lit(step.lr / (1.0 + (step.t - 1) as f64 * self.lr_decay));
        let (eps, decay) = (T::lit(self.eps), T::lit(step.weight_decay));
        w.update_with(g, [&mut s.sum], move |w, g, [h]| {
            let g = g + decay * *w;
            *h = (*h + g * g).minimum(T::MAX);
            *w -= lr * g / (h.sqrt() + eps);
        });
    }
    samples { Adagrad::new(0.5), Adagrad::new(0.5).lr_decay(1e-3).initial_accumulator_value(0.1).eps(1e-7) }

    /// RMSProp divides the gradient by a running root mean square of it:
    ///
    /// ```text
    /// g <- g + weight_decay w
    /// s <- alpha s + (1 - alpha) g²
    /// a <- alpha a + (1 - alpha) g             (centered only; else a = 0)
    /// b <- momentum b + g / (sqrt(s - a²) + eps)
    /// w <- w - lr b
    /// ```
    ///
    /// The variance `s - a²` is known to the rounding of `s` only, and is taken to be no less than that: under a constant
    /// gradient the difference would fall below 0.
    ///
    /// Tieleman and Hinton, *Lecture 6.5: RMSProp*, 2012; centred, Graves, *Generating sequences with recurrent neural
    /// networks*, 2013.
    #[doc(alias = "RMSprop")]
    RmsProp(lr = 1e-2) {
        /// How much of the running mean square a step keeps.
        alpha(alpha: f64 = 0.99) in 0.0..=1.0;
        /// Added to the divisor for numerical stability.
        eps(eps: f64 = 1e-8) in 0.0..;
        /// How much of the buffer of divided gradients a step keeps; without momentum there is no buffer.
        momentum(momentum: f64 = 0.0) in 0.0..;
        /// Divides by the running standard deviation instead of the root mean square.
        centered(centered: bool = false);
    }
    state RmsPropState(self, w) {
        /// The running mean of squared gradients.
        square_avg: Tensor<T> = zeros_like(w),
        /// The running mean of gradients, when centred.
        grad_avg: Option<Tensor<T>> = self.centered.then(|| zeros_like(w)),
        /// The buffer of divided gradients, with momentum.
        momentum_buffer: Option<Tensor<T>> = (self.momentum > 0.0).then(|| zeros_like(w)),
    }
    largest_gradient = largest_square_root();
    update(self, step, w, g, s) {
        let ([lr, decay], [keep, take]) = (step.rates::<T>(), ema::<T>(self.alpha));
        let (eps, m) = (T::lit(self.eps), T::lit(self.momentum));
        let plain = move |s: &mut T, g: T| {
            *s = keep * *s + take * g * g;
            g / (s.sqrt() + eps)
        };
        let centred = move |s: &mut T, a: &mut T, g: T| {
            *s = keep * *s + take * g * g;
            *a = keep * *a + take * g;
            g / ((*s - *a * *a).maximum(T::EPSILON * *s).sqrt() + eps)
        };
        let square = &mut s.square_avg;
        match (&mut s.grad_avg, &mut s.momentum_buffer) {
            (None, None) => w.update_with(g, [square], move |w, g, [s]| *w -= lr * plain(s, g + decay * *w)),
            (Some(a), None) => w.update_with(g, [square, a], move |w, g, [s, a]| *w -= lr * centred(s, a, g + decay * *w)),
            (None, Some(b)) => w.update_with(g, [square, b], move |w, g, [s, b]| {
                *b = m * *b + plain(s, g + decay * *w);
                *w -= lr * *b;
            }),
            (Some(a), Some(b)) => w.update_with(g, [square, a, b], move |w, g, [s, a, b]| {
                *b = m * *b + centred(s, a, g + decay * *w);
                *w -= lr * *b;
            }),
        }
    }
    samples {
        RmsProp::new(0.01),
        RmsProp::new(0.005).momentum(0.5),
        RmsProp::new(0.004).centered(true).eps(1e-2),
        RmsProp::new(0.002).momentum(0.5).centered(true).eps(1e-2),
    }

    /// Adadelta takes steps in the units of the weights, which need no learning rate to be found:
    ///
    /// ```text
    /// g <- g + weight_decay w
    /// s <- rho s + (1 - rho) g²
    /// d <- sqrt(u + eps) / sqrt(s + eps) g
    /// u <- rho u + (1 - rho) d²
    /// w <- w - lr d
    /// ```
    ///
    /// Zeiler, *ADADELTA: an adaptive learning rate method*, 2012.
    Adadelta(lr = 1.0) {
        /// How much of the running mean squares a step keeps.
        rho(rho: f64 = 0.9) in 0.0..=1.0;
        /// The mean square that the first steps start from, which also keeps the divisor from 0.
        eps(eps: f64 = 1e-6) in 0.0..;
    }
    state AdadeltaState(self, w) {
        /// The running mean of squared gradients.
        square_avg: Tensor<T> = zeros_like(w),
        /// The running mean of squared steps.
        acc_delta: Tensor<T> = zeros_like(w),
    }
    largest_gradient = largest_square_root();
    update(self, step, w, g, s) {
        let ([lr, decay], [keep, take], eps) = (step.rates::<T>(), ema::<T>(self.rho), T::lit(self.eps));
        w.update_with(g, [&mut s.square_avg, &mut s.acc_delta], move |w, g, [s, u]| {
            let g = g + decay * *w;
            *s = keep * *s + take * g * g;
            let delta = (*u + eps).sqrt() / (*s + eps).sqrt() * g;
            *u = keep * *u + take * delta * delta;
            *w -= lr * delta;
        });
    }
    samples { Adadelta::new(0.2).eps(1e-3) }
}
