//! How pictures show what sort of work an op does.

use crate::op::OpKind;

impl OpKind {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Product => "product, convolution",
            Self::Elementwise => "elementwise",
            Self::Reduction => "reduction, pooling",
            Self::Shape => "shape, index",
            Self::Loss => "softmax, loss",
            Self::Other => "other",
        }
    }

    /// The box's filling and its border.
    pub(super) fn colours(self) -> (&'static str, &'static str) {
        match self {
            Self::Leaf => ("#f1f3f5", "#868e96"),
            Self::Product => ("#dbe9fb", "#2f6fbf"),
            Self::Elementwise => ("#dcf3e3", "#2f9150"),
            Self::Reduction => ("#fdeccf", "#c27a0a"),
            Self::Shape => ("#ece4f9", "#7a54bd"),
            Self::Loss => ("#fbdfdf", "#c23b3b"),
            Self::Other => ("#d9f1f4", "#16808f"),
        }
    }
}
