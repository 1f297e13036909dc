//! What training changes: parameters, which have gradients, and buffers, which have not.

use crate::buffer_replay;
use crate::tape_end::{Cut, End};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{RwLock, RwLockReadGuard};

/// A trainable weight: a leaf variable with an identity, living in a model.
///
/// It derefs to its [`Var`], so that it is used as one: `x.matmul(&self.weight)`. An optimiser writes its
/// value in place. A clone is another parameter with the same value.
///
/// ```
/// use gradus_autograd::{Param, Var};
/// let w = Param::new([2.0f32, 3.0].into());
/// let loss = (&*w * 5.0).sum(..);
/// assert_eq!(loss.backward()[&w].to_vec(), [5.0, 5.0]);
/// ```
#[doc(alias("Parameter", "register_parameter"))]
pub struct Param<T: Float = f32> {
    var: Var<T>,
    /// The leaf that stands aside while the parameter is frozen.
    frozen: Option<Var<T>>,
}

#[compiled_once]
impl<T: Float> Param<T> {
    /// A trainable parameter that starts as `value`.
    #[doc(alias = "add_weight")]
    #[track_caller]
    pub fn new(value: Tensor<T>) -> Self {
        Self { var: Var::leaf(value), frozen: None }
    }

    /// Whether gradients are computed for this parameter.
    pub fn is_trainable(&self) -> bool {
        self.frozen.is_none()
    }

    /// The number of this parameter's leaf, whether it is frozen or not: its identity.
    pub fn number(&self) -> u64 {
        let leaf = self.frozen.as_ref().unwrap_or(&self.var);
        leaf.id().unwrap_or(u64::MAX)
    }

    /// Freezes or unfreezes: a frozen parameter is a constant, for which no gradient is computed.
    #[doc(alias = "trainable")]
    pub fn set_trainable(&mut self, trainable: bool) {
        match (trainable, self.frozen.take()) {
            (true, Some(mut leaf)) => {
                leaf.value = self.var.value.clone();
                self.var = leaf;
            }
            (false, None) => {
                let constant = Var::cut_at(self.var.value.clone(), Cut::here(End::Frozen));
                let mut leaf = std::mem::replace(&mut self.var, constant);
                // Only the identity waits; a second handle on the value would make every write copy it.
                leaf.value = Tensor::from_vec(vec![], [0]);
                self.frozen = Some(leaf);
            }
            (_, frozen) => self.frozen = frozen,
        }
    }

    /// The value, to be written; in place when no tape holds it.
    pub fn value_mut(&mut self) -> &mut Tensor<T> {
        &mut self.var.value
    }

    /// Replaces the value.
    ///
    /// # Panics
    /// When the shape would change.
    #[track_caller]
    pub fn set(&mut self, value: Tensor<T>) {
        assert!(value.shape() == self.shape(), "a value of shape {} for a parameter of shape {}", value.shape(), self.shape());
        self.var.value = value;
    }

    /// Exchanges the variable that this computes with.
    pub(crate) fn swap(&mut self, var: &mut Var<T>) {
        std::mem::swap(&mut self.var, var);
    }
}

impl<T: Float> Deref for Param<T> {
    type Target = Var<T>;
    fn deref(&self) -> &Var<T> {
        &self.var
    }
}

impl<T: Float> Clone for Param<T> {
    fn clone(&self) -> Self {
        let mut new = Self::new(self.value().clone());
        new.set_trainable(self.is_trainable());
        new
    }
}

impl<T: Float> fmt::Debug for Param<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Param({}) {:?}", if self.is_trainable() { "trainable" } else { "frozen" }, self.value())
    }
}

/// State that a model keeps beside its parameters, saved with them but not trained: running statistics. A
/// layer may write it during a forward pass. When a [`checkpoint`](crate::checkpoint) runs that pass again, it reads what
/// it read at first, and writes nothing. A frozen buffer keeps its value in forward passes; a layer with running statistics
/// goes by them.
#[doc(alias("register_buffer", "batch_stats"))]
pub struct Buffer<T: Float = f32> {
    number: u64,
    frozen: AtomicBool,
    value: RwLock<Tensor<T>>,
}

#[compiled_once]
impl<T: Float> Buffer<T> {
    /// A buffer that starts as `value`.
    pub fn new(value: Tensor<T>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), frozen: AtomicBool::new(false), value: RwLock::new(value) }
    }

    /// Whether layers are to leave the value as it is.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// Freezes or unfreezes; [`set`](Self::set) works all the same, for loading.
    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Relaxed);
    }

    fn lock(&self) -> RwLockReadGuard<'_, Tensor<T>> {
        self.value.read().unwrap_or_else(|e| e.into_inner())
    }

    /// The value.
    pub fn get(&self) -> Tensor<T> {
        buffer_replay::read(self.number, || self.lock().clone())
    }

    /// Replaces the value.
    ///
    /// # Panics
    /// When the shape would change.
    #[track_caller]
    pub fn set(&self, value: Tensor<T>) {
        let held = self.lock().shape().clone();
        assert!(*value.shape() == held, "a value of shape {} for a buffer of shape {held}", value.shape());
        if let Some(value) = buffer_replay::write(self.number, value, || self.lock().clone()) {
            *self.value.write().unwrap_or_else(|e| e.into_inner()) = value;
        }
    }
}

impl<T: Float> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let new = Self::new(self.get());
        new.set_frozen(self.is_frozen());
        new
    }
}

impl<T: Float> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer{} {:?}", if self.is_frozen() { "(frozen)" } else { "" }, self.get())
    }
}
