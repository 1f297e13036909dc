//! Embeddings: a row of numbers for each index.

use crate::init;
use crate::refuse::refuse;
use crate::samples::apply;
use gradus_autograd::samples::{Case, OpSample, Sampled, draw};
use gradus_autograd::{Attributes, ForwardContext, Gradients, Op, OpKind, Param, Var, VjpContext};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Rng, Shape, Tensor};

/// A table `[rows, width]` that indices pick rows from; starts as PyTorch's does, standard normal.
///
/// ```
/// use gradus_nn::Embedding;
/// use gradus_tensor::{Rng, Tensor};
/// let table: Embedding = Embedding::new(10, 4, &mut Rng::seed(0));
/// let y = table.embed(&Tensor::from([[1i64, 2, 3]]));
/// assert_eq!(*y.shape(), [1, 3, 4]);
/// ```
#[doc(alias = "Embed")]
#[derive(Clone, Debug, Module)]
pub struct Embedding<T: Float = f32> {
    /// `[rows, width]`.
    pub weight: Param<T>,
    padding: Option<usize>,
}

#[compiled_once]
impl<T: Float> Embedding<T> {
    /// `rows` rows of `width` numbers.
    pub fn new(rows: usize, width: usize, rng: &mut Rng) -> Self {
        Self { weight: Param::new(init::normal([rows, width], 0.0, 1.0, rng)), padding: None }
    }

    /// With these rows.
    ///
    /// # Panics
    /// When it is no matrix.
    #[track_caller]
    pub fn from_weight(weight: Tensor<T>) -> Self {
        assert!(weight.rank() == 2, "embedding: rows of shape {}; wanted [rows, width]", weight.shape());
        Self { weight: Param::new(weight), padding: None }
    }

    /// Row `index` is padding: it becomes 0, and gets no gradient.
    ///
    /// # Panics
    /// When there is no such row.
    #[doc(alias = "padding_idx")]
    #[must_use]
    #[track_caller]
    pub fn padding_index(mut self, index: usize) -> Self {
        let (rows, width) = (self.weight.shape()[0], self.weight.shape()[1]);
        assert!(index < rows, "embedding: padding index {index} of {rows} rows");
        self.padding = Some(index);
        self.weight.value_mut().as_mut_slice()[index * width..(index + 1) * width].fill(T::zero());
        self
    }

    /// The rows at `indices`: `[..]` to `[.., width]`.
    ///
    /// # Panics
    /// When an index is outside the table.
    #[track_caller]
    pub fn embed(&self, indices: &Tensor<i64>) -> Var<T> {
        let (rows, width) = (self.weight.shape()[0], self.weight.shape()[1]);
        let mut shape: Shape = indices.shape().clone();
        shape.push(width);
        let flat = indices.reshape([-1]);
        if let Some((place, index)) = outside(&flat, rows) {
            refuse("Embedding", format!("expected indices from 0 to {}, got {index} at position {place}", rows as i64 - 1))
        }
        apply(Lookup { index: flat, padding: self.padding }, &[&self.weight]).reshape(&shape)
    }
}

/// The rows of a table at a vector of indices. The row `padding` gets no gradient.
pub(crate) struct Lookup {
    index: Tensor<i64>,
    padding: Option<usize>,
}

impl<T: Float> Op<T> for Lookup {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("index", &self.index).with_some("padding", self.padding)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).index_select(0, &self.index)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let gy = match self.padding {
            Some(padding) => cx.gy().masked_fill(&self.index.eq(padding as i64).unsqueeze(1), 0.0),
            None => cx.gy().clone(),
        };
        let grad = match cx.take_sum(0) {
            Some(sum) => sum.into_value().index_add_into(0, &self.index, gy.value()).into(),
            None => Var::constant(Tensor::zeros(cx.shape(0).clone())).index_add(0, &self.index, &gy),
        };
        grad.into()
    }
}

impl<T: Float> Sampled<T> for Lookup {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("embedding", |rng| {
            let (table, index) = (draw::of_shape(rng, [4, 2]), Tensor::randint([5], 0, 4, rng));
            Case::new([table], move |v| apply(Lookup { index: index.clone(), padding: None }, &[&v[0]]))
        })]
    }
}

/// The first of the indices that is not one of `rows`, and where it is.
fn outside(indices: &Tensor<i64>, rows: usize) -> Option<(usize, i64)> {
    let outside = |index: &i64| usize::try_from(*index).map_or(true, |index| index >= rows);
    let indices = indices.contiguous();
    let all = indices.as_slice()?;
    all.iter().position(outside).map(|place| (place, all[place]))
}
