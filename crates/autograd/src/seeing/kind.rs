//! What sort of work an op does, which its colour shows.

/// The sorts of ops that pictures tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Leaf,
    Product,
    Elementwise,
    Reduction,
    Shape,
    Loss,
    Other,
}

const NAMES: [(Kind, &str); 6] = [
    (Kind::Leaf, "leaf"),
    (Kind::Product, "matmul masked_matmul sampled_matmul einsum conv2d conv2d_input_grad conv2d_weight_grad"),
    (
        Kind::Elementwise,
        "add sub mul div pow atan2 maximum minimum neg add_scalar mul_scalar div_scalar scalar_sub square recip sqrt exp \
         exp_m1 exp2 ln ln_1p log2 log10 sin cos tan asin acos atan sinh cosh tanh sigmoid erf abs relu relu6 leaky_relu elu \
         gelu silu softplus selu celu gelu_tanh mish softsign log_sigmoid hardtanh hardsigmoid hardswish threshold softshrink \
         hardshrink powf clamp sign dropout straight_through where masked_fill",
    ),
    (
        Kind::Reduction,
        "sum sum_to max min prod cumsum norm standardize logsumexp weighted_sums avg_pool2d avg_pool2d_grad max_pool2d pool_gather pool_scatter",
    ),
    (
        Kind::Shape,
        "concat diagonal diagonal_embed embedding expand flip gather index_add index_select input pad pad_step permute repeat \
         reshape roll scatter_add slice transpose",
    ),
    (Kind::Loss, "softmax log_softmax masked_softmax softmax_cross_entropy"),
];

impl Kind {
    /// By the op's name; what is on no list, as a program's own op, is `Other`.
    pub fn of(name: &str) -> Self {
        NAMES.iter().find(|(_, names)| names.split_whitespace().any(|n| n == name)).map_or(Self::Other, |(kind, _)| *kind)
    }

    pub fn label(self) -> &'static str {
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
    pub fn colours(self) -> (&'static str, &'static str) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::op_samples;

    #[test]
    fn every_name_is_an_op() {
        let layers = ["standardize", "embedding", "softmax_cross_entropy"]; // the ops of gradus-nn
        let ops: Vec<_> = op_samples::<f64>().iter().map(|s| s.name).chain(layers).chain(["leaf"]).collect();
        let names = NAMES.iter().flat_map(|(_, names)| names.split_whitespace());
        let unknown: Vec<_> = names.filter(|n| !ops.contains(n)).collect();
        assert!(unknown.is_empty(), "no op has these names: {unknown:?}");
        assert!(
            NAMES.iter().all(|(kind, names)| names.split_whitespace().all(|n| Kind::of(n) == *kind)),
            "a name is listed twice"
        );
    }
}
