//! Candle's gradients, checked: `cargo run --features candle --example candle`

use candle_core::{DType, Result, Tensor};
use candle_nn::ops;
use gradus_check::Array;
use gradus_check_adapters::candle::CandleFunction;
use gradus_check_adapters::{Draw, Survey};

struct Ops {
    survey: Survey,
    draw: Draw,
}

impl Ops {
    fn check(&mut self, name: &str, inputs: impl Into<Vec<Array>>, f: impl Fn(&[Tensor]) -> Result<Tensor>) {
        self.survey.check(&CandleFunction::new(name, f), &inputs.into());
    }

    /// A function of one tensor of shape `[3, 4]`.
    fn unary(&mut self, name: &str, low: f64, high: f64, f: impl Fn(&Tensor) -> Result<Tensor>) {
        let x = self.draw.uniform([3, 4], low, high);
        self.check(name, [x], |x| f(&x[0]));
    }
}

fn elementwise(ops: &mut Ops) {
    ops.unary("exp", -2.0, 2.0, Tensor::exp);
    ops.unary("log", 0.2, 3.0, Tensor::log);
    ops.unary("sin", -3.0, 3.0, Tensor::sin);
    ops.unary("cos", -3.0, 3.0, Tensor::cos);
    ops.unary("tanh", -2.0, 2.0, Tensor::tanh);
    ops.unary("sqrt", 0.2, 3.0, Tensor::sqrt);
    ops.unary("sqr", -2.0, 2.0, Tensor::sqr);
    ops.unary("recip", 0.3, 3.0, Tensor::recip);
    ops.unary("abs", -2.0, 2.0, Tensor::abs);
    ops.unary("erf", -2.0, 2.0, Tensor::erf);
    ops.unary("relu", -2.0, 2.0, Tensor::relu);
    ops.unary("elu", -2.0, 2.0, |x| x.elu(1.3));
    ops.unary("silu", -3.0, 3.0, Tensor::silu);
    ops.unary("gelu (tanh)", -3.0, 3.0, Tensor::gelu);
    ops.unary("gelu_erf", -3.0, 3.0, Tensor::gelu_erf);
    ops.unary("powf 2.5", 0.3, 2.0, |x| x.powf(2.5));
    ops.unary("clamp", -2.0, 2.0, |x| x.clamp(-1.0, 1.0));
    ops.unary("sigmoid (candle-nn)", -3.0, 3.0, candle_nn::ops::sigmoid);
    ops.unary("leaky_relu (candle-nn)", -2.0, 2.0, |x| ops::leaky_relu(x, 0.1));
    ops.unary("hard_sigmoid (candle-nn)", -4.0, 4.0, ops::hard_sigmoid);
    let (a, b) = (ops.draw.any([3, 4]), ops.draw.uniform([1, 4], 0.5, 2.0));
    ops.check("broadcast_div", [a.clone(), b.clone()], |x| x[0].broadcast_div(&x[1]));
    ops.check("broadcast_pow", [positive(&a), b.clone()], |x| x[0].broadcast_pow(&x[1]));
    ops.check("broadcast_maximum", [a, b], |x| x[0].broadcast_maximum(&x[1]));
}

fn positive(a: &Array) -> Array {
    Array::new(a.shape(), a.data().iter().map(|v| v.abs() + 0.3).collect())
}

fn reductions_and_norms(ops: &mut Ops) {
    ops.unary("sum", -2.0, 2.0, |x| x.sum(1));
    ops.unary("mean_keepdim", -2.0, 2.0, |x| x.mean_keepdim(0));
    ops.unary("max", -2.0, 2.0, |x| x.max(1));
    ops.unary("min", -2.0, 2.0, |x| x.min(0));
    ops.unary("var", -2.0, 2.0, |x| x.var(1));
    ops.unary("log_sum_exp", -2.0, 2.0, |x| x.log_sum_exp(1));
    ops.unary("cumsum", -2.0, 2.0, |x| x.cumsum(1));
    ops.unary("softmax (candle-nn)", -2.0, 2.0, |x| ops::softmax(x, 1));
    ops.unary("log_softmax (candle-nn)", -2.0, 2.0, |x| ops::log_softmax(x, 1));
    ops.unary("softmax_last_dim (candle-nn)", -2.0, 2.0, ops::softmax_last_dim);
    let inputs = [ops.draw.any([3, 4]), ops.draw.uniform([4], 0.5, 1.5), ops.draw.any([4])];
    ops.check("layer_norm (candle-nn)", inputs.clone(), |x| ops::layer_norm(&x[0], &x[1], &x[2], 1e-5));
    ops.check("layer_norm_slow (candle-nn)", inputs.clone(), |x| ops::layer_norm_slow(&x[0], &x[1], &x[2], 1e-5));
    ops.check("rms_norm (candle-nn)", inputs[..2].to_vec(), |x| ops::rms_norm(&x[0], &x[1], 1e-5));
    ops.check("rms_norm_slow (candle-nn)", inputs[..2].to_vec(), |x| ops::rms_norm_slow(&x[0], &x[1], 1e-5));
}

fn products_and_convolutions(ops: &mut Ops) {
    let inputs = [ops.draw.any([2, 3, 4]), ops.draw.any([2, 4, 2])];
    ops.check("matmul of batches", inputs, |x| x[0].matmul(&x[1]));
    let inputs = [ops.draw.any([2, 3, 4]), ops.draw.any([4, 2])];
    ops.check("broadcast_matmul", inputs, |x| x[0].broadcast_matmul(&x[1]));
    let inputs = [Draw::seed(1).any([2, 2, 3]), Draw::seed(2).any([1, 2, 1])];
    ops.check("matmul, transposed by broadcast", inputs, |x| x[0].transpose(1, 2)?.matmul(&x[1].broadcast_as((2, 2, 1))?));
    let inputs = [ops.draw.any([2, 4, 7]), ops.draw.any([6, 4, 3])];
    ops.check("conv1d", inputs.clone(), |x| x[0].conv1d(&x[1], 0, 1, 1, 1));
    ops.check("conv1d, padding 1", inputs.clone(), |x| x[0].conv1d(&x[1], 1, 1, 1, 1));
    ops.check("conv1d, stride 2", inputs.clone(), |x| x[0].conv1d(&x[1], 0, 2, 1, 1));
    ops.check("conv1d, dilation 2", inputs, |x| x[0].conv1d(&x[1], 0, 1, 2, 1));
    let inputs = [ops.draw.any([2, 4, 7]), ops.draw.any([6, 2, 3])];
    ops.check("conv1d, groups 2", inputs, |x| x[0].conv1d(&x[1], 0, 1, 1, 2));
    let inputs = [ops.draw.any([2, 3, 6, 5]), ops.draw.any([2, 3, 3, 2])];
    ops.check("conv2d", inputs.clone(), |x| x[0].conv2d(&x[1], 0, 1, 1, 1));
    ops.check("conv2d, stride 2, padding 1", inputs.clone(), |x| x[0].conv2d(&x[1], 1, 2, 1, 1));
    ops.check("conv2d, dilation 2, padding 2", inputs.clone(), |x| x[0].conv2d(&x[1], 2, 1, 2, 1));
    ops.check("conv2d, stride 2, dilation 2, padding 2", inputs, |x| x[0].conv2d(&x[1], 2, 2, 2, 1));
    let inputs = [ops.draw.any([2, 4, 5, 5]), ops.draw.any([4, 1, 3, 3])];
    ops.check("conv2d, depthwise", inputs, |x| x[0].conv2d(&x[1], 1, 1, 1, 4));
    let inputs = [ops.draw.any([2, 3, 4, 3]), ops.draw.any([3, 2, 3, 3])];
    ops.check("conv_transpose2d, stride 2", inputs.clone(), |x| x[0].conv_transpose2d(&x[1], 1, 0, 2, 1));
    ops.check("conv_transpose2d, output padding", inputs, |x| x[0].conv_transpose2d(&x[1], 1, 1, 2, 1));
    let inputs = [ops.draw.any([2, 3, 4]), ops.draw.any([3, 2, 3])];
    ops.check("conv_transpose1d", inputs, |x| x[0].conv_transpose1d(&x[1], 1, 0, 1, 1, 1));
}

fn pooling_and_resizing(ops: &mut Ops) {
    let x = ops.draw.any([1, 2, 4, 4]);
    ops.check("max_pool2d 2", [x.clone()], |x| x[0].max_pool2d(2));
    ops.check("max_pool2d 3, stride 1", [x.clone()], |x| x[0].max_pool2d_with_stride(3, 1));
    ops.check("avg_pool2d 2", [x.clone()], |x| x[0].avg_pool2d(2));
    ops.check("upsample_nearest2d", [x.clone()], |x| x[0].upsample_nearest2d(8, 8));
    ops.check("upsample_nearest2d, x used twice", [x.clone()], |x| x[0].upsample_nearest2d(8, 8)?.avg_pool2d(2)? * &x[0]);
    ops.check("upsample_bilinear2d", [x], |x| x[0].upsample_bilinear2d(8, 8, false));
    let x = ops.draw.any([1, 2, 5, 5]);
    ops.check("max_pool2d 2 of 5 x 5", [x.clone()], |x| x[0].max_pool2d(2));
    ops.check("avg_pool2d 2 of 5 x 5", [x], |x| x[0].avg_pool2d(2));
    let x = ops.draw.any([2, 3, 4]);
    ops.check("upsample_nearest1d", [x], |x| x[0].upsample_nearest1d(8));
}

fn indexing(ops: &mut Ops) {
    let index = |values: &[u32], shape: &[usize]| Tensor::from_slice(values, shape, &candle_core::Device::Cpu);
    let (x, y) = (ops.draw.any([3, 4]), ops.draw.any([3, 2]));
    let (row, other) = (ops.draw.any([1, 4]), ops.draw.any([3, 4]));
    ops.check("narrow", [x.clone()], |x| x[0].narrow(1, 1, 2));
    ops.check("cat", [x.clone(), y.clone()], |x| Tensor::cat(&[&x[0], &x[1]], 1));
    ops.check("index_select", [x.clone()], |x| x[0].index_select(&index(&[2, 0, 2], &[3])?, 0));
    ops.check("gather", [x.clone()], |x| x[0].gather(&index(&[3, 3, 0, 1, 2, 2], &[3, 2])?, 1));
    ops.check("scatter_add", [x.clone(), y.clone()], |x| x[0].scatter_add(&index(&[3, 3, 0, 1, 2, 2], &[3, 2])?, &x[1], 1));
    ops.check("scatter_add, as many", [x.clone(), other.clone()], |x| {
        x[0].scatter_add(&index(&[3, 3, 0, 1, 2, 2, 1, 0, 0, 0, 1, 1], &[3, 4])?, &x[1], 1)
    });
    ops.check("scatter", [x.clone(), y.clone()], |x| x[0].scatter(&index(&[3, 1, 0, 1, 2, 0], &[3, 2])?, &x[1], 1));
    ops.check("index_add", [x.clone(), y.clone()], |x| x[0].index_add(&index(&[3, 3], &[2])?, &x[1], 1));
    ops.check("slice_scatter0", [x.clone(), row], |x| x[0].slice_scatter0(&x[1], 1));
    ops.check("where_cond", [x.clone(), other], |x| {
        let condition = index(&[1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1], &[3, 4])?.to_dtype(DType::U8)?;
        condition.where_cond(&x[0], &x[1])
    });
    ops.check("pad_with_same", [x.clone()], |x| x[0].pad_with_same(1, 2, 1));
    ops.check("flip", [x], |x| x[0].flip(&[0, 1]));
}

fn main() {
    // What candle panics with is in the report.
    std::panic::set_hook(Box::new(|_| {}));
    let mut ops = Ops { survey: Survey::default(), draw: Draw::seed(0) };
    elementwise(&mut ops);
    reductions_and_norms(&mut ops);
    products_and_convolutions(&mut ops);
    pooling_and_resizing(&mut ops);
    indexing(&mut ops);
    ops.survey.finish();
}
