//! Precision, recall and F1, over a data set.

use super::{ConfusionMatrix, Metric};
use gradus_tensor::{Float, Tensor};

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

        impl<T: Float> Metric<T, Tensor<i64>> for $name {
            fn name(&self) -> &str {
                &self.name
            }
            #[track_caller]
            fn update(&mut self, output: &Tensor<T>, labels: &Tensor<i64>) {
                self.matrix.add_outputs(labels, output);
            }
            fn value(&self) -> f64 {
                match self.class {
                    _ if self.matrix.total() == 0 => f64::NAN,
                    Some(class) => self.matrix.$of_class(class),
                    None => self.matrix.$macro_mean(),
                }
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
        }
    };
}

from_matrix! {
    /// [`ConfusionMatrix::macro_precision`], or that of one class, of the largest of `[N, C]` outputs.
    Precision, "precision", precision, macro_precision
}
from_matrix! {
    /// [`ConfusionMatrix::macro_recall`], or that of one class, of the largest of `[N, C]` outputs.
    Recall, "recall", recall, macro_recall
}
from_matrix! {
    /// [`ConfusionMatrix::macro_f1`], or that of one class, of the largest of `[N, C]` outputs.
    F1, "f1", f1, macro_f1
}
