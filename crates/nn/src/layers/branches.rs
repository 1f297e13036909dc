//! Containers whose layers run beside each other on the same input.

use crate::layer::{Layer, Mode};
use crate::refuse::refuse;
use gradus_autograd::{Module, Param, Path, Var, Visitor};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::scope::{Part, Parts, Scope};
use gradus_tensor::shape::Axis;
use gradus_tensor::{Float, OrPanic, Shape};
use std::sync::Arc;

/// `y = body(x) + shortcut(x)`, the shortcut being `x` itself unless there is one (He et al. 2016). Paths of parameters are
/// `body.…` and `shortcut.…`.
///
/// ```
/// use gradus_nn::{BatchNorm2d, Conv2d, Layer, Mode, Relu, Residual, Sequential};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let body = Sequential::new()
///     .add(Conv2d::new(2, 4, 3, rng).stride(2).padding(1).bias(false))
///     .add(BatchNorm2d::new(4))
///     .add(Relu)
///     .add(Conv2d::new(4, 4, 3, rng).padding(1).bias(false))
///     .add(BatchNorm2d::new(4));
/// let projection = Sequential::new().add(Conv2d::new(2, 4, 1, rng).stride(2).bias(false)).add(BatchNorm2d::new(4));
/// let block: Sequential = Sequential::new().add(Residual::new(body).shortcut(projection)).add(Relu);
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
    /// Of both, for messages.
    #[module(skip)]
    parts: Arc<Vec<Part>>,
}

#[compiled_once]
impl<T: Float> Residual<T> {
    /// `body(x) + x`.
    pub fn new(body: impl Layer<T> + 'static) -> Self {
        let parts = Arc::new(vec![Part { name: "body".into(), kind: body.kind() }]);
        Self { body: Box::new(body), shortcut: None, parts }
    }

    /// With a layer in the place of `x` itself, which makes the body's shape of it.
    #[must_use]
    pub fn shortcut(self, shortcut: impl Layer<T> + 'static) -> Self {
        let parts = self.parts.iter().take(1).cloned();
        let parts = parts.chain([Part { name: "shortcut".into(), kind: shortcut.kind() }]).collect();
        Self { shortcut: Some(Box::new(shortcut)), parts: Arc::new(parts), ..self }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for Residual<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
        let scope = Scope::enter(Parts::Listed(self.parts.clone()));
        scope.part(0);
        let y = self.body.forward(x, mode);
        scope.part(1);
        let beside = self.shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| shortcut.forward(x, mode));
        drop(scope);
        // A sum would broadcast.
        if y.shape() != beside.shape() {
            let (y, beside) = (y.shape(), beside.shape());
            let detail = format!("expected body and shortcut of one shape, got {y} and {beside} of input {}", x.shape());
            refuse("Residual", detail)
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
    branches: Vec<Box<dyn Layer<T>>>,
    /// The branches' names and kinds.
    parts: Arc<Vec<Part>>,
    axis: isize,
}

impl<T: Float> Default for Concat<T> {
    fn default() -> Self {
        Self { branches: Vec::new(), parts: Arc::default(), axis: 1 }
    }
}

#[compiled_once]
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
        assert!(self.parts.iter().all(|part| part.name != name), "there already is a branch `{name}`");
        Arc::make_mut(&mut self.parts).push(Part { name, kind: branch.kind() });
        self.branches.push(Box::new(branch));
        self
    }
}

#[compiled_once]
impl<T: Float> Concat<T> {
    /// That the outputs can be laid one after the other.
    #[track_caller]
    fn check(&self, outputs: &[Var<T>]) {
        let Some(first) = outputs.first() else { refuse("Concat", "expected 1 branch or more, got none") };
        let axis = self.axis.resolve("Concat", first.rank()).or_panic();
        let but_axis = |y: &Var<T>| y.shape().iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, n)| *n).collect::<Shape>();
        if outputs.iter().any(|y| y.rank() != first.rank() || but_axis(y) != but_axis(first)) {
            let got: Vec<String> = outputs.iter().map(|y| y.shape().to_string()).collect();
            refuse("Concat", format!("expected outputs that differ along axis {axis} only, got {}", got.join(", ")))
        }
    }
}

impl<T: Float> Module<T> for Concat<T> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        for (part, branch) in self.parts.iter().zip(&self.branches) {
            path.at(&part.name, |path| branch.visit(path, v));
        }
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        for (part, branch) in self.parts.iter().zip(&mut self.branches) {
            path.at(&part.name, |path| branch.visit_mut(path, f));
        }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for Concat<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
        let mut outputs = Vec::with_capacity(self.branches.len());
        let scope = Scope::enter(Parts::Listed(self.parts.clone()));
        for (i, branch) in self.branches.iter().enumerate() {
            scope.part(i);
            outputs.push(branch.forward(x, mode));
        }
        drop(scope);
        self.check(&outputs);
        Var::concat(&outputs.iter().collect::<Vec<_>>(), self.axis)
    }
}
