//! Adam and its kin: running means of the gradient and of its size.

use super::table::{names::*, rules};

rules! {
    /// Adam follows a running mean of the gradient, divided by a running root mean square of it, both corrected for having
    /// started at 0:
    ///
    /// ```text
    /// g <- g + weight_decay w
    /// m <- beta1 m + (1 - beta1) g
    /// v <- beta2 v + (1 - beta2) g²
    /// w <- w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
    /// ```
    ///
    /// AMSGrad puts the largest `v` so far in its place. Weight decay is added to the gradient here, and so divided with it;
    /// [`AdamW`] keeps it apart.
    ///
    /// Kingma and Ba, *Adam: a method for stochastic optimization*, 2015; AMSGrad: Reddi, Kale and Kumar, *On the convergence
    /// of Adam and beyond*, 2018.
    ///
    /// ```
    /// use gradus_optim::{Adam, Optimizer};
    /// let opt: Optimizer<Adam> = Adam::new(1e-3).betas(0.9, 0.98).eps(1e-9).amsgrad(true);
    /// ```
    #[doc(alias = "AMSGrad")]
    Adam(lr = 1e-3) {
        /// How much of the running means of the gradient and of its square a step keeps.
        betas(beta1: f64 = 0.9, beta2: f64 = 0.999) in 0.0..1.0;
        /// Added to the divisor for numerical stability.
        eps(eps: f64 = 1e-8) in 0.0..;
        /// Divides by the largest running mean square so far, so that no weight's rate ever rises again.
        amsgrad(amsgrad: bool = false);
    }
    state AdamState(self, w) {
        /// The running mean of gradients.
        exp_avg: Tensor<T> = zeros_like(w),
        /// The running mean of squared gradients.
        exp_avg_sq: Tensor<T> = zeros_like(w),
        /// The largest that mean has been, with AMSGrad.
        max_exp_avg_sq: Option<Tensor<T>> = self.amsgrad.then(|| zeros_like(w)),
    }
    largest_gradient = largest_square_root();
    update(self, step, w, g, s) {
        let moments = Moments { betas: [self.beta1, self.beta2], eps: self.eps, coupled: step.weight_decay, shrink: 1.0 };
        moments.step(step, w, g, [&mut s.exp_avg, &mut s.exp_avg_sq], s.max_exp_avg_sq.as_mut());
    }
    samples { Adam::new(0.05), Adam::new(0.05).amsgrad(true).weight_decay(1e-4), Adam::new(0.05).betas(0.8, 0.95).eps(1e-6) }

    /// AdamW is [`Adam`] whose weight decay does not pass through the running means, but shrinks the weight itself:
    /// `w <- (1 - lr weight_decay) w`, then Adam's step with the bare gradient.
    ///
    /// Loshchilov and Hutter, *Decoupled weight decay regularization*, 2019.
    ///
    /// ```
    /// use gradus_optim::{AdamW, Optimizer};
    /// let opt: Optimizer<AdamW> = AdamW::new(3e-4).weight_decay(0.1);
    /// ```
    AdamW(lr = 1e-3, weight_decay = 0.01) {
        /// How much of the running means of the gradient and of its square a step keeps.
        betas(beta1: f64 = 0.9, beta2: f64 = 0.999) in 0.0..1.0;
        /// Added to the divisor for numerical stability.
        eps(eps: f64 = 1e-8) in 0.0..;
        /// Divides by the largest running mean square so far, so that no weight's rate ever rises again.
        amsgrad(amsgrad: bool = false);
    }
    state AdamWState(self, w) {
        /// The running mean of gradients.
        exp_avg: Tensor<T> = zeros_like(w),
        /// The running mean of squared gradients.
        exp_avg_sq: Tensor<T> = zeros_like(w),
        /// The largest that mean has been, with AMSGrad.
        max_exp_avg_sq: Option<Tensor<T>> = self.amsgrad.then(|| zeros_like(w)),
    }
    largest_gradient = largest_square_root();
    update(self, step, w, g, s) {
        let shrink = 1.0 - step.lr * step.weight_decay;
        let moments = Moments { betas: [self.beta1, self.beta2], eps: self.eps, coupled: 0.0, shrink };
        moments.step(step, w, g, [&mut s.exp_avg, &mut s.exp_avg_sq], s.max_exp_avg_sq.as_mut());
    }
    samples { AdamW::new(0.05).weight_decay(1e-3), AdamW::new(0.05).amsgrad(true).weight_decay(1e-3) }

    /// Adamax is [`Adam`] under the infinity norm:
    ///
    /// ```text
    /// g <- g + weight_decay w
    /// m <- beta1 m + (1 - beta1) g
    /// u <- max(beta2 u, |g| + eps)
    /// w <- w - lr m / (1 - beta1^t) / u
    /// ```
    ///
    /// Kingma and Ba, *Adam: a method for stochastic optimization*, 2015, section 7.1.
    Adamax(lr = 2e-3) {
        /// How much of the running mean of the gradient, and of its largest size, a step keeps.
        betas(beta1: f64 = 0.9, beta2: f64 = 0.999) in 0.0..1.0;
        /// Added to the gradient's size for numerical stability.
        eps(eps: f64 = 1e-8) in 0.0..;
    }
    state AdamaxState(self, w) {
        /// The running mean of gradients.
        exp_avg: Tensor<T> = zeros_like(w),
        /// The decaying maximum of the gradient's size.
        exp_inf: Tensor<T> = zeros_like(w),
    }
    update(self, step, w, g, s) {
        let rate = T::lit(step.lr / (1.0 - self.beta1.powf(step.t as f64)));
        let ([keep1, take1], keep2) = (ema::<T>(self.beta1), T::lit(self.beta2));
        let (eps, decay) = (T::lit(self.eps), T::lit(step.weight_decay));
        w.update_with(g, [&mut s.exp_avg, &mut s.exp_inf], move |w, g, [m, u]| {
            let g = g + decay * *w;
            *m = keep1 * *m + take1 * g;
            *u = (keep2 * *u).maximum(g.abs() + eps);
            *w -= rate * *m / *u;
        });
    }
    samples { Adamax::new(0.05) }

    /// NAdam is [`Adam`] with Nesterov's momentum, which follows a schedule of its own:
    ///
    /// ```text
    /// g   <- g + weight_decay w             (decoupled: w <- (1 - lr weight_decay) w instead)
    /// mu  <- beta1 (1 - 0.96^(t momentum_decay) / 2),  next <- the same at t + 1
    /// p   <- p mu                           (p = 1 before the first step)
    /// m   <- beta1 m + (1 - beta1) g
    /// v   <- beta2 v + (1 - beta2) g²
    /// w   <- w - lr ((1 - mu) / (1 - p) g + next / (1 - p next) m) / (sqrt(v / (1 - beta2^t)) + eps)
    /// ```
    ///
    /// Dozat, *Incorporating Nesterov momentum into Adam*, 2016.
    #[doc(alias = "Nadam")]
    NAdam(lr = 2e-3) {
        /// How much of the running means of the gradient and of its square a step keeps.
        betas(beta1: f64 = 0.9, beta2: f64 = 0.999) in 0.0..1.0;
        /// Added to the divisor for numerical stability.
        eps(eps: f64 = 1e-8) in 0.0..;
        /// How fast the momentum rises to `beta1`.
        momentum_decay(momentum_decay: f64 = 4e-3) in 0.0..;
        /// Whether weight decay shrinks the weight itself, as in [`AdamW`], instead of being added to the gradient.
        decoupled_weight_decay(decoupled_weight_decay: bool = false);
    }
    state NAdamState(self, w) {
        /// The running mean of gradients.
        exp_avg: Tensor<T> = zeros_like(w),
        /// The running mean of squared gradients.
        exp_avg_sq: Tensor<T> = zeros_like(w),
        /// The product of the momenta of all steps so far, as a scalar.
        mu_product: Tensor<T> = Tensor::scalar(T::one()),
    }
    largest_gradient = largest_square_root();
    update(self, step, w, g, s) {
        let mu = |t: u64| self.beta1 * (1.0 - 0.5 * 0.96f64.powf(t as f64 * self.momentum_decay));
        let (mu, next) = (mu(step.t), mu(step.t + 1));
        s.mu_product *= mu;
        let product = s.mu_product.item().to_f64();
        let by_gradient = T::lit(step.lr * (1.0 - mu) / (1.0 - product));
        let by_mean = T::lit(step.lr * next / (1.0 - product * next));
        let scale = T::lit(1.0 / (1.0 - self.beta2.powf(step.t as f64)));
        let ([keep1, take1], [keep2, take2], eps) = (ema::<T>(self.beta1), ema::<T>(self.beta2), T::lit(self.eps));
        let (coupled, shrink) = match self.decoupled_weight_decay {
            true => (T::zero(), T::lit(1.0 - step.lr * step.weight_decay)),
            false => (T::lit(step.weight_decay), T::one()),
        };
        w.update_with(g, [&mut s.exp_avg, &mut s.exp_avg_sq], move |w, g, [m, v]| {
            let g = g + coupled * *w;
            *m = keep1 * *m + take1 * g;
            *v = keep2 * *v + take2 * g * g;
            *w = shrink * *w - (by_gradient * g + by_mean * *m) / ((*v * scale).sqrt() + eps);
        });
    }
    samples { NAdam::new(0.05), NAdam::new(0.05).momentum_decay(0.01).decoupled_weight_decay(true).weight_decay(1e-4) }
}

/// What [`Adam`] and [`AdamW`] share: `coupled` is the weight decay that goes into the gradient, `shrink` the factor that
/// multiplies the weight beforehand.
struct Moments {
    betas: [f64; 2],
    eps: f64,
    coupled: f64,
    shrink: f64,
}

impl Moments {
    fn step<T: Float>(
        &self,
        step: &Step,
        w: &mut Tensor<T>,
        g: &Tensor<T>,
        means: [&mut Tensor<T>; 2],
        largest: Option<&mut Tensor<T>>,
    ) {
        let [correct1, correct2] = self.betas.map(|beta| 1.0 - beta.powf(step.t as f64));
        let [[keep1, take1], [keep2, take2]] = self.betas.map(ema::<T>);
        let (rate, scale, eps) = (T::lit(step.lr / correct1), T::lit(1.0 / correct2.sqrt()), T::lit(self.eps));
        let (coupled, shrink) = (T::lit(self.coupled), T::lit(self.shrink));
        let moments = move |w: &mut T, g: T, m: &mut T, v: &mut T| {
            let g = g + coupled * *w;
            *w *= shrink;
            *m = keep1 * *m + take1 * g;
            *v = keep2 * *v + take2 * g * g;
        };
        let [m, v] = means;
        match largest {
            None => w.update_with(g, [m, v], move |w, g, [m, v]| {
                moments(w, g, m, v);
                *w -= rate * *m / (v.sqrt() * scale + eps);
            }),
            Some(max) => w.update_with(g, [m, v, max], move |w, g, [m, v, max]| {
                moments(w, g, m, v);
                *max = max.maximum(*v);
                *w -= rate * *m / (max.sqrt() * scale + eps);
            }),
        }
    }
}
