//! Containers whose layers run beside each other on the same input.

use crate::layer::{Layer, Mode};
use gradus_autograd::{Module, Param, Path, Var, Visitor};
use gradus_derive::Module;
use gradus_tensor::{Float, OrPanic, ShapeError};

/// `y = body(x) + shortcut(x)`, the shortcut being `x` itself unless there is one (He et al. 2016). Paths of parameters are
/// `body.…` and `shortcut.…`.
///
/// ```
/// use gradus_nn::{BatchNorm2d, Conv2d, Layer, Mode, ReLU, Residual, Sequential};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let body = Sequential::new()
///     .add(Conv2d::new(2, 4, 3, rng).stride(2).padding(1).bias(false))
///     .add(BatchNorm2d::new(4))
///     .add(ReLU)
///     .add(Conv2d::new(4, 4, 3, rng).padding(1).bias(false))
///     .add(BatchNorm2d::new(4));
/// let projection = Sequential::new().add(Conv2d::new(2, 4, 1, rng).stride(2).bias(false)).add(BatchNorm2d::new(4));
/// let block: Sequential = Sequential::new().add(Residual::new(body).shortcut(projection)).add(ReLU);
/// let y = block.forward(&Tensor::ones([1, 2, 8, 8]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [1, 4, 4, 4]);
/// ```
///
/// # Panics
/// On the forward pass, when body and shortcut give other shapes.
#[doc(alias = "Add")]
#[derive(Module)]
pub struct Residual<T: Float = f32> {
    body: Box<dyn Layer<T>>,
    shortcut: Option<Box<dyn Layer<T>>>,
}

impl<T: Float> Residual<T> {
    /// `body(x) + x`.
    pub fn new(body: impl Layer<T> + 'static) -> Self {
        Self { body: Box::new(body), shortcut: None }
    }

    /// With a layer in the place of `x` itself, which makes the body's shape of it.
    #[must_use]
    pub fn shortcut(self, shortcut: impl Layer<T> + 'static) -> Self {
        Self { shortcut: Some(Box::new(shortcut)), ..self }
    }
}

impl<T: Float> Layer<T> for Residual<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let y = self.body.forward(x, mode);
        let beside = self.shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| shortcut.forward(x, mode));
        // A sum would broadcast.
        if y.shape() != beside.shape() {
            let (y, beside) = (y.shape(), beside.shape());
            let detail = format!("the body makes {y} of {}, the shortcut {beside}; wanted the same shape", x.shape());
            Err(ShapeError::new("residual", detail)).or_panic()
        }
        y + beside
    }
}

/// The outputs of several layers for the same input, one after the other along an axis: the channels, axis 1, unless said
/// otherwise (the inception blocks of Szegedy et al. 2015; DenseNet's with [`Identity`](crate::Identity) as a branch).
///
/// ```
/// use gradus_nn::{AvgPool2d, Concat, Conv2d, Layer, Mode};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let block: Concat = Concat::new()
///     .add(Conv2d::new(3, 4, 1, rng))
///     .add(Conv2d::new(3, 8, 5, rng).same())
///     .push("pool", AvgPool2d::new(3).stride(1).padding(1));
/// let y = block.forward(&Tensor::ones([2, 3, 6, 6]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [2, 15, 6, 6]);
/// ```
///
/// # Panics
/// On the forward pass, when there is no branch, or their outputs differ in another axis.
#[doc(alias = "Concatenate")]
pub struct Concat<T: Float = f32> {
    branches: Vec<(String, Box<dyn Layer<T>>)>,
    axis: isize,
}

impl<T: Float> Default for Concat<T> {
    fn default() -> Self {
        Self { branches: Vec::new(), axis: 1 }
    }
}

impl<T: Float> Concat<T> {
    /// Without a branch as yet, along the channels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Along another axis; negative counts from the back.
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        Self { axis, ..self }
    }

    /// With one more branch; its name is its number.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // as in `Sequential`
    pub fn add(self, branch: impl Layer<T> + 'static) -> Self {
        let name = self.branches.len().to_string();
        self.push(name, branch)
    }

    /// With one more branch, under a name.
    ///
    /// # Panics
    /// When the name is taken, or has a dot in it, which would make paths ambiguous.
    #[must_use]
    #[track_caller]
    pub fn push(mut self, name: impl Into<String>, branch: impl Layer<T> + 'static) -> Self {
        let name = name.into();
        assert!(!name.contains('.'), "the branch name `{name}` has a dot in it; dots separate the parts of a path");
        assert!(self.branches.iter().all(|(taken, _)| *taken != name), "there already is a branch `{name}`");
        self.branches.push((name, Box::new(branch)));
        self
    }
}

impl<T: Float> Module<T> for Concat<T> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        for (name, branch) in &self.branches {
            path.at(name, |path| branch.visit(path, v));
        }
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        for (name, branch) in &mut self.branches {
            path.at(name, |path| branch.visit_mut(path, f));
        }
    }
}

impl<T: Float> Layer<T> for Concat<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let mut outputs = Vec::with_capacity(self.branches.len());
        for (_, branch) in &self.branches {
            outputs.push(branch.forward(x, mode));
        }
        Var::concat(&outputs.iter().collect::<Vec<_>>(), self.axis)
    }
}
