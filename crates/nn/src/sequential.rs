//! Layers one after the other.

use crate::layer::{Layer, Mode};
use crate::layers::checkpoint::{changeable, run_checkpointed};
use gradus_autograd::{Module, Param, Path, Var, Visitor, no_grad};
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::scope::{Part, Parts, Scope};
use gradus_tensor::{Float, Shape, Tensor, thousands};
use std::fmt;
use std::sync::Arc;

/// A list of layers, each fed with the output of the one before.
///
/// ```
/// use gradus_nn::{Layer, Linear, Mode, Relu, Sequential};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let net: Sequential = Sequential::new()
///     .add(Linear::new(4, 8, rng))
///     .add(Relu)
///     .push("head", Linear::new(8, 3, rng));
/// let y = net.forward(&Tensor::ones([5, 4]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [5, 3]);
/// ```
#[doc(alias("ModuleList", "nn.Sequential"))]
#[derive(Default)]
pub struct Sequential<T: Float = f32> {
    layers: Vec<Arc<dyn Layer<T>>>,
    /// Their names and kinds.
    parts: Arc<Vec<Part>>,
    segments: Segments,
}

/// How many parts of the list are run as checkpoints of their own.
#[derive(Clone, Copy, Default)]
enum Segments {
    #[default]
    None,
    SquareRoot,
    Count(usize),
}

#[compiled_once]
impl<T: Float> Sequential<T> {
    /// An empty list.
    pub fn new() -> Self {
        Self { layers: Vec::new(), parts: Arc::default(), segments: Segments::None }
    }

    /// Appends a layer; its name is its number.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // Keras' name for it; lists of layers have no sum
    pub fn add(self, layer: impl Layer<T> + 'static) -> Self {
        let name = self.len().to_string();
        self.push(name, layer)
    }

    /// Appends a layer under a name.
    ///
    /// # Panics
    /// When the name is taken, or has a dot in it, which would make paths ambiguous.
    #[must_use]
    #[track_caller]
    pub fn push(mut self, name: impl Into<String>, layer: impl Layer<T> + 'static) -> Self {
        let name = name.into();
        assert!(!name.contains('.'), "the layer name `{name}` has a dot in it; dots separate the parts of a path");
        assert!(self.get(&name).is_none(), "there already is a layer `{name}`");
        Arc::make_mut(&mut self.parts).push(Part { name, kind: layer.kind() });
        self.layers.push(Arc::new(layer));
        self
    }

    /// Saves memory in training: of `n` layers, `√n` segments of as many layers keep only their inputs, and run again in
    /// the backward pass (Chen et al. 2016, "Training deep nets with sublinear memory cost"). The last segment, which
    /// would be needed again at once, is kept. Outputs, gradients and running statistics are the same, bit for bit; a
    /// step takes up to a forward pass longer.
    ///
    /// Parameters must not be changed while a result of a forward pass is alive; an optimiser's step after
    /// `loss.backward()` is right.
    ///
    /// ```
    /// use gradus_nn::{Layer, Linear, Mode, Sequential, Tanh};
    /// use gradus_tensor::{Rng, Tensor};
    /// let rng = &mut Rng::seed(0);
    /// let block = |net: Sequential, rng: &mut Rng| net.add(Linear::new(4, 4, rng)).add(Tanh);
    /// let net = (0..8).fold(Sequential::new(), |net, _| block(net, rng)).checkpointed();
    /// let y = net.forward(&Tensor::ones([2, 4]).into(), &mut Mode::Train(rng));
    /// let names = y.tape().iter().filter(|e| e.name == "checkpoint").count();
    /// assert_eq!(names, 3); // 16 layers in 4 segments, of which the last is plain
    /// ```
    #[must_use]
    pub fn checkpointed(self) -> Self {
        Self { segments: Segments::SquareRoot, ..self }
    }

    /// As [`checkpointed`](Self::checkpointed), with this many segments of nearly equal length
    /// (`torch.utils.checkpoint.checkpoint_sequential`); 1 or fewer checkpoints nothing.
    #[doc(alias = "checkpoint_sequential")]
    #[must_use]
    pub fn checkpoint_segments(self, segments: usize) -> Self {
        Self { segments: Segments::Count(segments), ..self }
    }

    /// The first `index` layers and the rest, as lists of their own; all keep their names. With [`chain`](Self::chain) they
    /// are one list again. A part that is frozen can so be computed once, and the other trained on what it gave.
    ///
    /// ```
    /// use gradus_nn::{Linear, Module, Relu, Sequential};
    /// use gradus_tensor::Rng;
    /// let rng = &mut Rng::seed(0);
    /// let net: Sequential = Sequential::new().add(Linear::new(4, 8, rng)).add(Relu).add(Linear::new(8, 3, rng));
    /// let (base, head) = net.split_at(2);
    /// assert_eq!(head.state_dict().keys().collect::<Vec<_>>(), ["2.bias", "2.weight"]);
    /// assert_eq!(base.chain(head).len(), 3);
    /// ```
    ///
    /// # Panics
    /// When there are fewer than `index` layers.
    #[must_use]
    #[track_caller]
    pub fn split_at(mut self, index: usize) -> (Self, Self) {
        assert!(index <= self.len(), "split_at({index}) of a list of {} layers", self.len());
        let parts = Arc::make_mut(&mut self.parts).split_off(index);
        let rest = Self { layers: self.layers.split_off(index), parts: Arc::new(parts), segments: self.segments };
        (self, rest)
    }

    /// These layers, then those of `rest`, which keep their names.
    ///
    /// # Panics
    /// When a name is in both.
    #[must_use]
    #[track_caller]
    pub fn chain(mut self, rest: Self) -> Self {
        for Part { name, .. } in &*rest.parts {
            assert!(self.get(name).is_none(), "chain: there is a layer `{name}` in both lists");
        }
        self.layers.extend(rest.layers);
        Arc::make_mut(&mut self.parts).extend(rest.parts.iter().cloned());
        self
    }

    /// The layer under `name`.
    pub fn get(&self, name: &str) -> Option<&dyn Layer<T>> {
        self.iter().find(|(n, _)| *n == name).map(|(_, layer)| layer)
    }

    /// How many layers there are.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layers with their names, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &dyn Layer<T>)> {
        self.parts.iter().map(|part| part.name.as_str()).zip(self.layers.iter().map(|layer| &**layer))
    }

    /// What each layer makes of one sample of `input_shape` (without the batch axis), as Keras prints it:
    /// layer, output shape, parameters, totals.
    ///
    /// # Panics
    /// When a layer does not take what it is given.
    #[track_caller]
    pub fn summary(&self, input_shape: impl Into<Shape>) -> Summary {
        let mut shape = input_shape;
        shape.insert(0, 1);
        let mut x = Var::constant(Tensor::zeros(shape));
        let mut rows = Vec::with_capacity(self.len());
        let scope = Scope::enter(Parts::Listed(self.parts.clone()));
        for (i, (name, layer)) in self.iter().enumerate() {
            scope.part(i);
            x = no_grad(|| layer.forward(&x, &mut Mode::Eval));
            let (parameters, trainable) = (layer.num_parameters(), layer.num_trainable());
            let output_shape = x.shape().iter().skip(1).copied().collect();
            rows.push(SummaryRow { name: name.to_string(), kind: layer.kind(), output_shape, parameters, trainable });
        }
        Summary { rows }
    }
}

impl<T: Float> Module<T> for Sequential<T> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        for (part, layer) in self.parts.iter().zip(&self.layers) {
            path.at(&part.name, |path| layer.visit(path, v));
        }
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        for (part, layer) in self.parts.iter().zip(&mut self.layers) {
            path.at(&part.name, |path| changeable(layer, path).visit_mut(path, f));
        }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for Sequential<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
        let n = self.len();
        let segments = match self.segments {
            Segments::None => 1,
            Segments::SquareRoot => (n as f64).sqrt().round() as usize,
            Segments::Count(count) => count.min(n),
        }
        .max(1);
        // The segments' own scopes do not know the user's line.
        let _scope = if segments > 1 { Some(Scope::enter(Parts::None)) } else { None };
        let mut x = x.clone();
        for s in 1..segments {
            let first = n * (s - 1) / segments;
            let (layers, parts) = (self.layers[first..n * s / segments].to_vec(), self.parts.clone());
            x = run_checkpointed(&x, mode, move |x, mode| run(&layers, (&parts, first), x.clone(), mode));
        }
        let first = n * (segments - 1) / segments;
        run(&self.layers[first..], (&self.parts, first), x, mode)
    }
}

/// Each output is handed on and let go at once: what the tape does not need is free for the next layer. A ReLU's work is done by
/// the layer before it. The layers are the `parts` from number `first` on.
#[track_caller]
fn run<T: Float>(
    layers: &[Arc<dyn Layer<T>>],
    (parts, first): (&Arc<Vec<Part>>, usize),
    mut x: Var<T>,
    mode: &mut Mode,
) -> Var<T> {
    let scope = Scope::enter(Parts::Listed(parts.clone()));
    let mut layers = layers.iter().enumerate().peekable();
    while let Some((i, layer)) = layers.next() {
        scope.part(first + i);
        let relu = layers.next_if(|(_, next)| next.is_relu()).is_some();
        x = if relu { layer.forward_relu(&x, mode) } else { layer.forward(&x, mode) };
    }
    x
}

/// One layer in a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// The layer's name in the list.
    pub name: String,
    /// Its kind: `Conv2d`.
    pub kind: String,
    /// The shape of its output, without the batch axis.
    pub output_shape: Shape,
    /// How many numbers its parameters hold.
    pub parameters: usize,
    /// How many of those are trained.
    pub trainable: usize,
}

/// The layers of a network with the shapes of their outputs; prints as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The layers, in order.
    pub rows: Vec<SummaryRow>,
}

impl Summary {
    /// How many numbers the parameters hold in all.
    pub fn total_parameters(&self) -> usize {
        self.rows.iter().map(|r| r.parameters).sum()
    }

    /// How many of those are trained.
    pub fn trainable_parameters(&self) -> usize {
        self.rows.iter().map(|r| r.trainable).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers: Vec<String> = self.rows.iter().map(|row| format!("{} ({})", row.name, row.kind)).collect();
        let first = layers.iter().map(|l| l.chars().count() + 2).max().unwrap_or(0).max(29);
        let width = first + 36;
        writeln!(f, "{}", "_".repeat(width))?;
        writeln!(f, "{:<first$}{:<24}{:>12}", "Layer (type)", "Output Shape", "Param #")?;
        writeln!(f, "{}", "=".repeat(width))?;
        for (row, layer) in self.rows.iter().zip(layers) {
            let shape: String = row.output_shape.iter().map(|n| format!(", {n}")).collect();
            writeln!(f, "{layer:<first$}{:<24}{:>12}", format!("(N{shape})"), thousands(row.parameters))?;
        }
        let (total, trainable) = (self.total_parameters(), self.trainable_parameters());
        writeln!(f, "{}", "=".repeat(width))?;
        writeln!(f, "Total params: {}", thousands(total))?;
        writeln!(f, "Trainable params: {}", thousands(trainable))?;
        writeln!(f, "Non-trainable params: {}", thousands(total - trainable))?;
        write!(f, "{}", "_".repeat(width))
    }
}
