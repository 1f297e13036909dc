//! Precision, recall and F1, over a data set.

use super::classes::{check_distributions, likeliest};
use super::{ConfusionMatrix, Metric};
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// The methods that do not depend on what the targets are.
macro_rules! by_matrix {
    () => {
        fn name(&self) -> &str {
            &self.name
        }
        fn value(&self) -> f64 {
            self.score()
        }
        fn reset(&mut self) {
            self.matrix.reset();
        }
        fn state(&self) -> Vec<f64> {
            self.matrix.state()
        }
        fn load_state(&mut self, state: &[f64]) {
            self.matrix.load_state(state);
        }
    };
}

/// One implementation an element type: a generic one could, as far as the compiler knows, overlap with class indices.
macro_rules! of_distributions {
    ($name:ident, $short:literal, $t:ty) => {
        impl Metric<$t, Tensor<$t>> for $name {
            #[track_caller]
            fn update(&mut self, output: &Tensor<$t>, target: &Tensor<$t>) {
                check_distributions($short, output.shape(), target.shape()).or_panic();
                self.update(output, &likeliest(target));
            }
            fn check(&self, output: &[usize], target: &Tensor<$t>) -> Result<(), ShapeError> {
                check_distributions($short, output, target.shape())?;
                self.matrix.check_classes($short, output)
            }
            by_matrix!();
        }
    };
}

macro_rules! from_matrix {
    ($(#[$doc:meta])* $name:ident, $short:literal, $of_class:ident, $macro_mean:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            name: String,
            matrix: ConfusionMatrix,
            class: Option<usize>,
        }

        impl $name {
            /// The mean over classes (macro average).
            pub fn new(classes: usize) -> Self {
                Self { name: $short.into(), matrix: ConfusionMatrix::new(classes), class: None }
            }

            /// That of one class.
            ///
            /// # Panics
            /// When there is no such class.
            #[track_caller]
            pub fn of_class(class: usize, classes: usize) -> Self {
                assert!(class < classes, "{}: class {class} of {classes}", $short);
                Self { name: format!("{}_{class}", $short), class: Some(class), ..Self::new(classes) }
            }
        }

        impl $name {
            /// Predictions with this label are left out. In a trainer, those are that the loss ignores, unless this says
            /// otherwise.
            #[must_use]
            pub fn ignore_index(self, label: i64) -> Self {
                Self { matrix: self.matrix.ignore_index(label), ..self }
            }

            fn score(&self) -> f64 {
                match self.class {
                    _ if self.matrix.total() == 0 => f64::NAN,
                    Some(class) => self.matrix.$of_class(class),
                    None => self.matrix.$macro_mean(),
                }
            }
        }

        impl<T: Float> Metric<T, Tensor<i64>> for $name {
            #[track_caller]
            fn update(&mut self, output: &Tensor<T>, labels: &Tensor<i64>) {
                self.matrix.check($short, output.shape(), labels).or_panic();
                self.matrix.add_outputs(labels, output);
            }
            fn check(&self, output: &[usize], labels: &Tensor<i64>) -> Result<(), ShapeError> {
                self.matrix.check($short, output, labels)
            }
            fn ignore_label(&mut self, label: i64) {
                self.matrix.ignore_too(label);
            }
            by_matrix!();
        }

        of_distributions! { $name, $short, f32 }
        of_distributions! { $name, $short, f64 }
    };
}

from_matrix! {
    /// [`ConfusionMatrix::macro_precision`], or that of one class, of the largest of `[N, C]` or `[N, C, d…]` outputs.
    ///
    /// Targets are labels, or one-hot or mixed targets of the outputs' shape, whose likeliest class is the label.
    Precision, "precision", precision, macro_precision
}
from_matrix! {
    /// [`ConfusionMatrix::macro_recall`], or that of one class, of the largest of `[N, C]` or `[N, C, d…]` outputs.
    ///
    /// Targets are labels, or one-hot or mixed targets of the outputs' shape, whose likeliest class is the label.
    Recall, "recall", recall, macro_recall
}
from_matrix! {
    /// [`ConfusionMatrix::macro_f1`], or that of one class, of the largest of `[N, C]` or `[N, C, d…]` outputs.
    ///
    /// Targets are labels, or one-hot or mixed targets of the outputs' shape, whose likeliest class is the label.
    #[doc(alias = "F1Score")]
    F1, "f1", f1, macro_f1
}
