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

impl Kind {
    /// By the op's name; ops that are not Gradus' own are `Other`.
    pub fn of(name: &str) -> Self {
        match name {
            "leaf" => Self::Leaf,
            "matmul" | "einsum" | "linear" => Self::Product,
            "max" | "min" | "prod" | "cumsum" | "norm" | "standardize" | "sum" | "sum_to" | "logsumexp" => Self::Reduction,
            "concat" | "stack" | "diagonal" | "diagonal_embed" | "embedding" | "expand" | "flip" | "gather" | "index_add"
            | "input" | "index_select" | "masked_fill" | "pad" | "pad_step" | "permute" | "repeat" | "reshape" | "roll"
            | "scatter_add" | "slice" | "transpose" | "where" => Self::Shape,
            "softmax" | "log_softmax" => Self::Loss,
            "add" | "sub" | "mul" | "div" | "pow" | "atan2" | "maximum" | "minimum" | "neg" | "add_scalar" | "mul_scalar"
            | "div_scalar" | "scalar_sub" | "scalar_div" | "square" | "recip" | "sqrt" | "exp" | "exp_m1" | "exp2" | "ln"
            | "ln_1p" | "log2" | "log10" | "sin" | "cos" | "tan" | "asin" | "acos" | "atan" | "sinh" | "cosh" | "tanh"
            | "sigmoid" | "erf" | "abs" | "relu" | "relu6" | "leaky_relu" | "elu" | "gelu" | "silu" | "softplus" | "powf"
            | "clamp" | "sign" | "dropout" | "straight_through" => Self::Elementwise,
            _ if name.starts_with("conv") => Self::Product,
            _ if name.contains("pool") => Self::Reduction,
            _ if name.ends_with("_cross_entropy") || name.ends_with("_loss") => Self::Loss,
            _ => Self::Other,
        }
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
    fn every_op_of_the_table_has_a_kind() {
        let unknown: Vec<_> = op_samples::<f64>().iter().map(|s| s.name).filter(|n| Kind::of(n) == Kind::Other).collect();
        assert!(unknown.is_empty(), "ops without a colour: {unknown:?}");
    }
}
