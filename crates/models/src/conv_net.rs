//! What all networks of this crate are.

use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_nn::{Layer, Mode, Sequential, Summary, SummaryRow};
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, Shape};

/// The parts of a [`ConvNet`], for messages.
const PARTS: Parts = Parts::Fixed(&[("features", ""), ("pool", ""), ("classifier", "")]);

/// A network for pictures `[N, C, H, W]`: maps of features, a way from maps to vectors, and a classifier of these.
///
/// The parts are public, since transfer learning takes them apart: freeze `features`, put another classifier on top.
///
/// ```
/// use gradus_models::Vgg11;
/// use gradus_nn::{Linear, Module, Sequential};
/// use gradus_tensor::Rng;
/// let rng = &mut Rng::seed(0);
/// let mut net = Vgg11::without_top::<f32>(rng).with_classifier(Sequential::new().add(Linear::new(512 * 7 * 7, 1, rng)));
/// net.freeze("features.*");
/// assert_eq!(net.num_trainable(), 512 * 7 * 7 + 1);
/// ```
#[derive(Module)]
pub struct ConvNet<T: Float = f32> {
    /// From pictures `[N, C, H, W]` to maps `[N, F, h, w]`.
    pub features: Sequential<T>,
    /// From maps to vectors `[N, V]`; it has no parameters.
    pub pool: Sequential<T>,
    /// From vectors to a score for each class, `[N, classes]`.
    pub classifier: Sequential<T>,
}

impl<T: Float> ConvNet<T> {
    /// With another classifier on the same features.
    #[must_use]
    pub fn with_classifier(self, classifier: Sequential<T>) -> Self {
        Self { classifier, ..self }
    }

    /// What each layer makes of one sample of `input_shape` (without the batch axis): [`Sequential::summary`] of the three
    /// parts, layers under their paths.
    ///
    /// # Panics
    /// When a layer does not take what it is given.
    #[track_caller]
    pub fn summary(&self, input_shape: impl Into<Shape>) -> Summary {
        let mut shape = input_shape.into();
        let mut rows = Vec::new();
        let scope = Scope::enter(PARTS);
        let parts = [("features", &self.features), ("pool", &self.pool), ("classifier", &self.classifier)];
        for (i, (part, layers)) in parts.into_iter().enumerate() {
            scope.part(i);
            let of_part = layers.summary(shape.clone()).rows;
            shape = of_part.last().map_or(shape, |row| row.output_shape.clone());
            rows.extend(of_part.into_iter().map(|row| SummaryRow { name: format!("{part}.{}", row.name), ..row }));
        }
        Summary { rows }
    }

    /// With another way from maps to vectors.
    #[must_use]
    pub fn with_pool(self, pool: Sequential<T>) -> Self {
        Self { pool, ..self }
    }
}

impl<T: Float> Layer<T> for ConvNet<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let scope = Scope::enter(PARTS);
        let mut y = x.clone();
        for (i, part) in [&self.features, &self.pool, &self.classifier].into_iter().enumerate() {
            scope.part(i);
            y = part.forward(&y, mode);
        }
        y
    }
}
