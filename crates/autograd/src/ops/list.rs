//! The list of ops.

use super::listed::Listed;
use super::{
    abs, activation, binary, conv, ctc, einsum, index, join, linalg, masked, matmul, no_nan, norm, normalize, operators, pool,
    prod,
};
use super::{recurrent, reduce, select, slice, softmax, straight_through, taps, unary, view};
use crate::sampling::OpSample;
use gradus_tensor::Float;

crate::op_list! {
    /// The ops of this crate, for operands of one element type: those of the tables of elementwise functions, and these.
    impl Listed;
    pub fn listed_ops;
    tables: [unary::listed, activation::listed, binary::listed, operators::listed];
    ops: [
        abs::Abs,
        no_nan::MulNoNan,
        straight_through::StraightThrough,
        softmax::Dropout,
        select::MaskedFill,
        select::Where,
        reduce::Sum,
        reduce::Max,
        reduce::Min,
        reduce::LogSumExp,
        reduce::CumSum,
        prod::Prod,
        norm::Norm,
        normalize::Normalize,
        normalize::NormalizeBy,
        taps::WeightedSums<T>,
        view::Reshape,
        view::Permute,
        view::Transpose,
        view::Expand,
        view::SumTo,
        view::Flip,
        slice::Slice,
        slice::PadStep,
        slice::Diagonal,
        slice::DiagonalEmbed,
        index::Gather,
        index::ScatterAdd,
        index::IndexSelect,
        index::IndexAdd,
        join::Concat,
        join::Pad,
        join::Repeat,
        join::Roll,
        matmul::MatMul,
        matmul::Linear,
        masked::MaskedMatmul,
        masked::SampledMatmul,
        einsum::Einsum,
        linalg::Solve,
        conv::Conv2d,
        conv::Conv2dRelu,
        conv::Conv2dInputGrad,
        conv::Conv2dWeightGrad,
        pool::MaxPool2d,
        pool::PoolGather,
        pool::PoolScatter,
        pool::AvgPool2d,
        pool::AvgPool2dGrad,
        recurrent::RnnSequence,
        recurrent::LstmSequence,
        recurrent::GruSequence,
        recurrent::GruGates,
        softmax::Softmax,
        softmax::LogSoftmax,
        masked::MaskedSoftmax,
        ctc::Ctc,
        crate::derivatives::Input,
        crate::checkpoint::Segment<T>,
        crate::fixed_point::FixedPoint<T>,
    ]
}

/// The samples of every op of this crate, for operands of one element type; those for another draw the same.
pub fn op_samples<T: Float>() -> Vec<OpSample<T>> {
    listed_ops().into_iter().flat_map(|op| (op.samples)()).collect()
}
