//! Models as trees of parameters and buffers, visited by path.

use crate::param::{Buffer, Param};
use crate::path::{Path, path_matches};
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeMap;

/// Sees each parameter and buffer of a model.
pub trait Visitor<'a, T: Float> {
    /// A parameter at `path`.
    fn param(&mut self, path: &Path, param: &'a Param<T>);
    /// A buffer at `path`.
    fn buffer(&mut self, path: &Path, buffer: &'a Buffer<T>);
}

/// Anything with parameters: a layer, a model, a list of layers. Plain data (numbers, strings, options) is a
/// module without any, so that a struct of all these is one too.
///
/// Write it with `#[derive(Module)]`; each field's path is its name.
#[doc(alias = "nn.Module")]
pub trait Module<T: Float = f32> {
    /// Shows every parameter and buffer to `v`, in the order of the fields.
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>);

    /// Hands every parameter to `f` for changing, in the order of [`visit`](Self::visit).
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>));

    /// All parameters with their paths.
    fn named_parameters(&self) -> Vec<(String, &Param<T>)> {
        collect(self).0
    }

    /// All parameters.
    #[doc(alias("trainable_variables", "trainable_weights", "get_weights"))]
    fn parameters(&self) -> Vec<&Param<T>> {
        self.named_parameters().into_iter().map(|(_, p)| p).collect()
    }

    /// All buffers with their paths.
    fn named_buffers(&self) -> Vec<(String, &Buffer<T>)> {
        collect(self).1
    }

    /// Hands every parameter to `f` for changing.
    fn for_each_parameter(&mut self, mut f: impl FnMut(&str, &mut Param<T>))
    where
        Self: Sized,
    {
        self.visit_mut(&mut Path::default(), &mut |path, p| f(path.as_str(), p));
    }

    /// How many numbers training changes; frozen parameters do not count.
    fn num_trainable(&self) -> usize {
        self.parameters().iter().filter(|p| p.is_trainable()).map(|p| p.value().numel()).sum()
    }

    /// How many numbers the parameters hold, frozen or not.
    #[doc(alias = "count_params")]
    fn num_parameters(&self) -> usize {
        self.parameters().iter().map(|p| p.value().numel()).sum()
    }

    /// Freezes or unfreezes every parameter.
    fn set_trainable(&mut self, trainable: bool)
    where
        Self: Sized,
    {
        self.for_each_parameter(|_, p| p.set_trainable(trainable));
    }

    /// Freezes what lies at paths that fit `pattern`, in which `*` stands for any run of characters: parameters become
    /// constants, for which no gradient is computed, and buffers keep their values. A batch normalisation whose running
    /// statistics are frozen goes by them in training too. So a part of a network is a fixed function, as Keras'
    /// `trainable = False` makes it; [`unfreeze`](Self::unfreeze) undoes it.
    ///
    /// ```
    /// use gradus_autograd::{Module, Param};
    /// let mut net = (Param::<f32>::new([1.0, 2.0].into()), Param::new([3.0].into()));
    /// net.freeze("0*");
    /// assert_eq!((net.num_trainable(), net.num_parameters()), (1, 3));
    /// ```
    ///
    /// # Panics
    /// When no parameter and no buffer has such a path.
    #[doc(alias = "set_to_zero")]
    #[track_caller]
    fn freeze(&mut self, pattern: &str)
    where
        Self: Sized,
    {
        set_frozen(self, pattern, true);
    }

    /// Undoes [`freeze`](Self::freeze) at paths that fit `pattern`.
    ///
    /// # Panics
    /// When no parameter and no buffer has such a path.
    #[track_caller]
    fn unfreeze(&mut self, pattern: &str)
    where
        Self: Sized,
    {
        set_frozen(self, pattern, false);
    }

    /// The values of all parameters and buffers by path; the tensors share the model's memory until either
    /// is written.
    fn state_dict(&self) -> BTreeMap<String, Tensor<T>> {
        let (params, buffers) = collect(self);
        let params = params.into_iter().map(|(path, p)| (path, p.value().clone()));
        params.chain(buffers.into_iter().map(|(path, b)| (path, b.get()))).collect()
    }

    /// Sets all parameters and buffers from values by path.
    ///
    /// # Errors
    /// When an entry is missing, left over or of another shape: every such entry is named, and the model is
    /// left as it was.
    #[doc(alias = "set_weights")]
    fn load_state_dict(&mut self, state: &BTreeMap<String, Tensor<T>>) -> Result<(), StateDictError>
    where
        Self: Sized,
    {
        let own = self.state_dict();
        let mut error = StateDictError::default();
        for (path, value) in &own {
            match state.get(path) {
                None => error.missing.push(path.clone()),
                Some(new) if new.shape() != value.shape() => {
                    error.mis_shaped.push(format!("{path} is {} where {} is wanted", new.shape(), value.shape()));
                }
                Some(_) => {}
            }
        }
        error.extra = state.keys().filter(|k| !own.contains_key(*k)).cloned().collect();
        if !(error.missing.is_empty() && error.extra.is_empty() && error.mis_shaped.is_empty()) {
            return Err(error);
        }
        self.for_each_parameter(|path, p| p.set(state[path].clone()));
        for (path, b) in self.named_buffers() {
            b.set(state[&path].clone());
        }
        Ok(())
    }
}

/// Values that do not fit a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the values do not fit the model; missing: [{}]; left over: [{}]; of another shape: [{}]",
    .missing.join(", "), .extra.join(", "), .mis_shaped.join(", "))]
pub struct StateDictError {
    /// Paths that the model has and the values have not.
    pub missing: Vec<String>,
    /// Paths that the values have and the model has not.
    pub extra: Vec<String>,
    /// Paths whose shapes differ, with both shapes.
    pub mis_shaped: Vec<String>,
}

struct Collect<'a, T: Float>(Vec<(String, &'a Param<T>)>, Vec<(String, &'a Buffer<T>)>);

impl<'a, T: Float> Visitor<'a, T> for Collect<'a, T> {
    fn param(&mut self, path: &Path, param: &'a Param<T>) {
        self.0.push((path.as_str().to_string(), param));
    }
    fn buffer(&mut self, path: &Path, buffer: &'a Buffer<T>) {
        self.1.push((path.as_str().to_string(), buffer));
    }
}

type Collected<'a, T> = (Vec<(String, &'a Param<T>)>, Vec<(String, &'a Buffer<T>)>);

fn collect<T: Float, M: Module<T> + ?Sized>(module: &M) -> Collected<'_, T> {
    let mut found = Collect(Vec::new(), Vec::new());
    module.visit(&mut Path::default(), &mut found);
    (found.0, found.1)
}

#[track_caller]
fn set_frozen<T: Float, M: Module<T>>(module: &mut M, pattern: &str, frozen: bool) {
    let (params, buffers) = collect(module);
    let paths: Vec<&str> = params.iter().map(|(p, _)| p.as_str()).chain(buffers.iter().map(|(p, _)| p.as_str())).collect();
    if !paths.iter().any(|path| path_matches(pattern, path)) {
        panic!("no parameter or buffer has a path that fits `{pattern}`; there are {}", paths.join(", "));
    }
    buffers.iter().filter(|(path, _)| path_matches(pattern, path)).for_each(|(_, b)| b.set_frozen(frozen));
    module.for_each_parameter(|path, p| {
        if path_matches(pattern, path) {
            p.set_trainable(!frozen);
        }
    });
}

impl<T: Float> Module<T> for Param<T> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        v.param(path, self);
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        f(path, self);
    }
}

impl<T: Float> Module<T> for Buffer<T> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        v.buffer(path, self);
    }
    fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&Path, &mut Param<T>)) {}
}

impl<T: Float, M: Module<T> + ?Sized> Module<T> for &mut M {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        (**self).visit(path, v);
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        (**self).visit_mut(path, f);
    }
}

impl<T: Float, M: Module<T> + ?Sized> Module<T> for Box<M> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        (**self).visit(path, v);
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        (**self).visit_mut(path, f);
    }
}

impl<T: Float, M: Module<T>> Module<T> for Option<M> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        if let Some(m) = self {
            m.visit(path, v);
        }
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        if let Some(m) = self {
            m.visit_mut(path, f);
        }
    }
}

/// Lists: the path of an item is its number.
macro_rules! lists {
    ($([$($g:tt)*] $t:ty;)*) => {$(
        impl<T: Float, M: Module<T>, $($g)*> Module<T> for $t {
            fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
                for (i, m) in self.iter().enumerate() {
                    path.at_index(i, |path| m.visit(path, v));
                }
            }
            fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
                for (i, m) in self.iter_mut().enumerate() {
                    path.at_index(i, |path| m.visit_mut(path, f));
                }
            }
        }
    )*};
}
lists! { [] Vec<M>; [const N: usize] [M; N]; }

macro_rules! tuples {
    ($(($($m:ident $i:tt),+);)*) => {$(
        impl<T: Float, $($m: Module<T>),+> Module<T> for ($($m,)+) {
            fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
                $(path.at_index($i, |path| self.$i.visit(path, v));)+
            }
            fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
                $(path.at_index($i, |path| self.$i.visit_mut(path, f));)+
            }
        }
    )*};
}
tuples! { (A 0); (A 0, B 1); (A 0, B 1, C 2); (A 0, B 1, C 2, D 3); }

macro_rules! plain_data {
    ($($t:ty),*) => {$(
        impl<T: Float> Module<T> for $t {
            fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn Visitor<'a, T>) {}
            fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&Path, &mut Param<T>)) {}
        }
    )*};
}
plain_data!((), bool, u8, u32, u64, usize, i32, i64, isize, f32, f64, String, &'static str);

impl<T: Float, D> Module<T> for std::marker::PhantomData<D> {
    fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn Visitor<'a, T>) {}
    fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&Path, &mut Param<T>)) {}
}
