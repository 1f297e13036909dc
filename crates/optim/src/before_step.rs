//! The place between the backward pass and the update, open to everyone.

use crate::driver::Driver;
use crate::error::{Kind, OptimError};
use crate::optimizer::Optimizer;
use crate::rule::UpdateRule;
use gradus_autograd::{Grads, Module};
use gradus_tensor::Float;
use gradus_tensor::compiled_once::compiled_once;
use std::error::Error;

/// What a hook gives: an error of any type ends the step.
pub type HookResult = Result<(), Box<dyn Error + Send + Sync>>;

/// A hook of [`Optimizer::before_step`].
pub type BeforeStep<T> = Box<dyn FnMut(&dyn Module<T>, &mut Grads<T>) -> HookResult + Send>;

/// Hooks.
impl<R: UpdateRule<T>, T: Float> Optimizer<R, T> {
    /// Calls `hook` in every step, between the backward pass and everything that the optimiser does: here gradients are read,
    /// changed, logged, or exchanged with other processes, by the paths of their parameters ([`Grads::named`],
    /// [`Grads::named_mut`]).
    ///
    /// A step first calls the hooks, in the order in which they were added, then checks the gradients that they leave, then
    /// clips ([`clip_norm`](Self::clip_norm), [`clip_value`](Self::clip_value)), then updates the weights. A hook may insert a
    /// gradient that the backward pass did not give ([`Grads::insert`]). Hooks are not part of a saved state.
    ///
    /// ```
    /// use gradus_autograd::Param;
    /// use gradus_optim::{Sgd, clip_grad_norm};
    /// let mut net = (Param::<f64>::new([1.0].into()), Param::new([2.0].into()));
    /// let mut opt = Sgd::new(0.1).before_step(|net, grads| {
    ///     let norm = clip_grad_norm(net, grads, f64::MAX)?; // measures, and leaves them as they are
    ///     println!("norm of the gradients: {norm}");
    ///     for (path, g) in grads.named_mut(net) {
    ///         if path == "0" {
    ///             *g *= 10.0;
    ///         }
    ///     }
    ///     Ok(())
    /// });
    /// let grads = (&*net.0 + &*net.1).sum(..).backward();
    /// opt.step(&mut net, grads)?;
    /// assert_eq!((net.0.item(), net.1.item()), (0.0, 1.9));
    /// # Ok::<(), gradus_optim::OptimError>(())
    /// ```
    #[doc(alias("register_hook", "on_before_optimizer_step", "pre_step"))]
    pub fn before_step(mut self, hook: impl FnMut(&dyn Module<T>, &mut Grads<T>) -> HookResult + Send + 'static) -> Self {
        self.driver.hooks.push(Box::new(hook));
        self
    }
}

#[compiled_once]
impl<T: Float> Driver<T> {
    pub fn run_hooks(&mut self, model: &dyn Module<T>, grads: &mut Grads<T>) -> Result<(), OptimError> {
        self.hooks.iter_mut().try_for_each(|hook| hook(model, grads)).map_err(|e| Kind::BeforeStep(e.to_string()).into())
    }
}
