//! Steps along the gradient, a running sum of gradients, or its sign.

use super::table::{names::*, rules};

rules! {
    /// Stochastic gradient descent, optionally with momentum: `w <- w - lr g`, or with momentum `m` and dampening `d`
    ///
    /// ```text
    /// g <- g + weight_decay w
    /// b <- m b + (1 - d) g          (b = g at the first step)
    /// w <- w - lr b                 (nesterov: w <- w - lr (g + m b))
    /// ```
    ///
    /// The learning rate is outside of the buffer `b`, as in PyTorch, so a new rate takes effect at once. With a constant
    /// rate and no dampening, `v = -lr b` is the velocity of the classical forms: `v <- m v - lr g`, `w <- w + v`
    /// ([`with_momentum`](Sgd::with_momentum), Polyak 1964), and `w <- w + m v - lr g` with the new `v`
    /// ([`with_nesterov`](Sgd::with_nesterov), Nesterov 1983).
    ///
    /// Sutskever, Martens, Dahl and Hinton, *On the importance of initialization and momentum in deep learning*, 2013.
    ///
    /// ```
    /// use gradus_optim::{Optimizer, Sgd};
    /// let opt: Optimizer<Sgd> = Sgd::new(0.1).momentum(0.9).nesterov(true).weight_decay(5e-4);
    /// assert_eq!(opt.lr(), 0.1);
    /// ```
    #[doc(alias = "SGD")]
    Sgd(lr = 1e-3) {
        /// How much of the buffer a step keeps; without momentum there is no buffer.
        momentum(momentum: f64 = 0.0) in 0.0..;
        /// How much of the gradient is kept out of the buffer, except at the first step.
        dampening(dampening: f64 = 0.0) in ..;
        /// Nesterov's momentum: the gradient counts as if taken where the buffer leads. It is meant for a momentum above 0
        /// and no dampening.
        nesterov(nesterov: bool = false);
    }
    state SgdState(self, w) {
        /// The running sum of gradients, with momentum.
        momentum_buffer: Option<Tensor<T>> = (self.momentum != 0.0).then(|| zeros_like(w)),
    }
    update(self, step, w, g, s) {
        let [lr, decay] = step.rates::<T>();
        let Some(buffer) = &mut s.momentum_buffer else {
            return w.update_with(g, [], move |w, g, []| *w -= lr * (g + decay * *w));
        };
        let m = T::lit(self.momentum);
        let share = T::lit(if step.t == 1 { 1.0 } else { 1.0 - self.dampening });
        if self.nesterov {
            w.update_with(g, [buffer], move |w, g, [b]| {
                let g = g + decay * *w;
                *b = m * *b + share * g;
                *w -= lr * (g + m * *b);
            });
        } else {
            w.update_with(g, [buffer], move |w, g, [b]| {
                *b = m * *b + share * (g + decay * *w);
                *w -= lr * *b;
            });
        }
    }
    samples {
        Sgd::new(0.05),
        Sgd::with_momentum(0.02),
        Sgd::with_nesterov(0.02).weight_decay(1e-4),
        Sgd::new(0.05).momentum(0.8).dampening(0.3),
    }

    /// Lion steps by the sign of an interpolated momentum, and so keeps one tensor per weight where Adam keeps two:
    ///
    /// ```text
    /// w <- w - lr (sign(beta1 m + (1 - beta1) g) + weight_decay w)
    /// m <- beta2 m + (1 - beta2) g
    /// ```
    ///
    /// All weights move by the same amount: use a learning rate 3 to 10 times below Adam's, and a weight decay as much above.
    ///
    /// Chen et al., *Symbolic discovery of optimization algorithms*, 2023, algorithm 2.
    Lion(lr = 1e-4) {
        /// How much the momentum counts in the step, and how much of it a step keeps.
        betas(beta1: f64 = 0.9, beta2: f64 = 0.99) in 0.0..1.0;
    }
    state LionState(self, w) {
        /// The running mean of gradients.
        exp_avg: Tensor<T> = zeros_like(w),
    }
    update(self, step, w, g, s) {
        let ([lr, decay], [keep1, take1], [keep2, take2]) = (step.rates::<T>(), ema::<T>(self.beta1), ema::<T>(self.beta2));
        w.update_with(g, [&mut s.exp_avg], move |w, g, [m]| {
            *w -= lr * ((keep1 * *m + take1 * g).sign() + decay * *w);
            *m = keep2 * *m + take2 * g;
        });
    }
    samples { Lion::new(0.01).weight_decay(1e-3) }
}

impl Sgd {
    /// Creates gradient descent with momentum 0.9, Polyak's heavy ball: `Sgd::new(lr).momentum(0.9)`.
    #[doc(alias = "Momentum")]
    #[doc(alias = "heavy_ball")]
    #[track_caller]
    pub fn with_momentum<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Self::new(lr).momentum(0.9)
    }

    /// Creates Nesterov's accelerated gradient with momentum 0.9: `Sgd::new(lr).momentum(0.9).nesterov(true)`.
    #[doc(alias = "Nesterov")]
    #[doc(alias = "NAG")]
    #[track_caller]
    pub fn with_nesterov<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Self::new(lr).momentum(0.9).nesterov(true)
    }
}
