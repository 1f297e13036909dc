//! Burn's gradients, checked: `cargo run --features burn --example burn`

use burn_tensor::module::{
    adaptive_avg_pool2d, avg_pool2d, conv_transpose2d, conv1d, conv2d, interpolate, max_pool1d, max_pool2d, unfold4d,
};
use burn_tensor::ops::{ConvOptions, ConvTransposeOptions, InterpolateMode, InterpolateOptions, UnfoldOptions};
use burn_tensor::{IndexingUpdateOp, Int, Tensor, activation};
use gradus_check::Array;
use gradus_check_adapters::burn::{B, BurnFunction, Input, Output};
use gradus_check_adapters::{Draw, Survey};

struct Ops {
    survey: Survey,
    draw: Draw,
}

impl Ops {
    fn check<Y: Into<Output>>(&mut self, name: &str, inputs: impl Into<Vec<Array>>, f: impl Fn(&[Input]) -> Y) {
        self.survey.check(&BurnFunction::new(name, f), &inputs.into());
    }

    /// A function of one tensor of shape `[3, 4]`.
    fn unary<Y: Into<Output>>(&mut self, name: &str, low: f64, high: f64, f: impl Fn(Tensor<B, 2>) -> Y) {
        let x = self.draw.uniform([3, 4], low, high);
        self.check(name, [x], |x| f(x[0].tensor()));
    }
}

fn elementwise(ops: &mut Ops) {
    ops.unary("exp", -2.0, 2.0, Tensor::exp);
    ops.unary("log", 0.2, 3.0, Tensor::log);
    ops.unary("log1p", -0.5, 3.0, Tensor::log1p);
    ops.unary("sin", -3.0, 3.0, Tensor::sin);
    ops.unary("tan", -1.2, 1.2, Tensor::tan);
    ops.unary("tanh", -2.0, 2.0, Tensor::tanh);
    ops.unary("sinh", -2.0, 2.0, Tensor::sinh);
    ops.unary("asin", -0.8, 0.8, Tensor::asin);
    ops.unary("atan", -2.0, 2.0, Tensor::atan);
    ops.unary("sqrt", 0.2, 3.0, Tensor::sqrt);
    ops.unary("recip", 0.3, 3.0, Tensor::recip);
    ops.unary("abs", -2.0, 2.0, Tensor::abs);
    ops.unary("erf", -2.0, 2.0, Tensor::erf);
    ops.unary("clamp", -2.0, 2.0, |x| x.clamp(-1.0, 1.0));
    ops.unary("powf_scalar 2.5", 0.3, 2.0, |x| x.powf_scalar(2.5));
    ops.unary("relu", -2.0, 2.0, activation::relu);
    ops.unary("leaky_relu", -2.0, 2.0, |x| activation::leaky_relu(x, 0.1));
    ops.unary("gelu", -3.0, 3.0, activation::gelu);
    ops.unary("sigmoid", -3.0, 3.0, activation::sigmoid);
    ops.unary("sigmoid, by exp", -3.0, 3.0, |x| (x.neg().exp() + 1.0).recip());
    ops.unary("hard_sigmoid", -4.0, 4.0, |x| activation::hard_sigmoid(x, 0.2, 0.5));
    ops.unary("log_sigmoid", -3.0, 3.0, activation::log_sigmoid);
    ops.unary("silu", -3.0, 3.0, activation::silu);
    ops.unary("mish", -3.0, 3.0, activation::mish);
    ops.unary("softplus", -3.0, 3.0, |x| activation::softplus(x, 1.5));
    ops.unary("glu", -3.0, 3.0, |x| activation::glu(x, 1));
    let (a, b) = (ops.draw.uniform([3, 4], 0.5, 2.0), ops.draw.uniform([1, 4], 0.5, 2.0));
    ops.check("div, broadcast", [a.clone(), b.clone()], |x| x[0].tensor::<2>() / x[1].tensor());
    ops.check("powf, broadcast", [a.clone(), b.clone()], |x| x[0].tensor::<2>().powf(x[1].tensor()));
    ops.check("atan2, broadcast", [a.clone(), b.clone()], |x| x[0].tensor::<2>().atan2(x[1].tensor()));
    ops.check("max_pair, broadcast", [a.clone(), b.clone()], |x| x[0].tensor::<2>().max_pair(x[1].tensor()));
    ops.check("remainder, broadcast", [a, b], |x| x[0].tensor::<2>().remainder(x[1].tensor()));
}

fn reductions(ops: &mut Ops) {
    ops.unary("sum_dim", -2.0, 2.0, |x| x.sum_dim(1));
    ops.unary("mean_dim", -2.0, 2.0, |x| x.mean_dim(0));
    ops.unary("max_dim", -2.0, 2.0, |x| x.max_dim(1));
    ops.unary("min_dim", -2.0, 2.0, |x| x.min_dim(0));
    ops.unary("prod, of positive numbers", 0.5, 2.0, Tensor::prod);
    ops.unary("prod", -2.0, 2.0, Tensor::prod);
    ops.unary("prod_dim", -2.0, 2.0, |x| x.prod_dim(1));
    ops.unary("var", -2.0, 2.0, |x| x.var(1));
    ops.unary("cumsum", -2.0, 2.0, |x| x.cumsum(1));
    ops.unary("cumprod", -2.0, 2.0, |x| x.cumprod(1));
    ops.unary("cummax", -2.0, 2.0, |x| x.cummax(1));
    ops.unary("sort", -2.0, 2.0, |x| x.sort(1));
    ops.unary("softmax", -2.0, 2.0, |x| activation::softmax(x, 1));
    ops.unary("quiet_softmax", -2.0, 2.0, |x| activation::quiet_softmax(x, 1));
    ops.unary("log_softmax", -2.0, 2.0, |x| activation::log_softmax(x, 0));
}

fn products_and_convolutions(ops: &mut Ops) {
    let inputs = [ops.draw.any([2, 3, 4]), ops.draw.any([1, 4, 2])];
    ops.check("matmul, broadcast", inputs, |x| x[0].tensor::<3>().matmul(x[1].tensor()));
    let inputs = [ops.draw.any([2, 4, 7]), ops.draw.any([6, 2, 3]), ops.draw.any([6])];
    ops.check("conv1d, stride 2, padding 1, groups 2", inputs, |x| {
        conv1d(x[0].tensor(), x[1].tensor(), Some(x[2].tensor()), ConvOptions::new([2], [1], [1], 2))
    });
    let inputs = [ops.draw.any([2, 3, 6, 5]), ops.draw.any([2, 3, 3, 2]), ops.draw.any([2])];
    let settings = [
        ("conv2d", [1, 1], [0, 0], [1, 1]),
        ("conv2d, stride 2 x 1, padding 1 x 0", [2, 1], [1, 0], [1, 1]),
        ("conv2d, stride 2, padding 1", [2, 2], [1, 1], [1, 1]),
        ("conv2d, dilation 2 x 1, padding 2 x 1", [1, 1], [2, 1], [2, 1]),
        ("conv2d, stride 2, dilation 2, padding 2", [2, 2], [2, 2], [2, 2]),
    ];
    for (name, stride, padding, dilation) in settings {
        ops.check(name, inputs.clone(), |x| {
            conv2d(x[0].tensor(), x[1].tensor(), Some(x[2].tensor()), ConvOptions::new(stride, padding, dilation, 1))
        });
    }
    let inputs = [ops.draw.any([2, 4, 5, 5]), ops.draw.any([4, 1, 3, 3])];
    ops.check("conv2d, depthwise", inputs, |x| {
        conv2d(x[0].tensor(), x[1].tensor(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 4))
    });
    let inputs = [ops.draw.any([2, 4, 4, 3]), ops.draw.any([4, 2, 3, 3]), ops.draw.any([4])];
    ops.check("conv_transpose2d, stride 2, groups 2", inputs.clone(), |x| {
        let options = ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 2);
        conv_transpose2d(x[0].tensor(), x[1].tensor(), Some(x[2].tensor()), options)
    });
    ops.check("conv_transpose2d, output padding 1 x 0", inputs, |x| {
        let options = ConvTransposeOptions::new([2, 2], [1, 0], [1, 0], [1, 1], 2);
        conv_transpose2d(x[0].tensor(), x[1].tensor(), Some(x[2].tensor()), options)
    });
    let x = ops.draw.any([1, 2, 4, 5]);
    ops.check("unfold4d", [x], |x| unfold4d(x[0].tensor(), [2, 3], UnfoldOptions::new([1, 2], [1, 0], [1, 1])));
}

fn pooling_and_resizing(ops: &mut Ops) {
    let x = ops.draw.any([1, 2, 5, 5]);
    ops.check("max_pool2d 2", [x.clone()], |x| max_pool2d(x[0].tensor(), [2, 2], [2, 2], [0, 0], [1, 1], false));
    ops.check("max_pool2d 3 x 2, stride 1 x 2, padding 1", [x.clone()], |x| {
        max_pool2d(x[0].tensor(), [3, 2], [1, 2], [1, 1], [1, 1], false)
    });
    ops.check("max_pool2d 2, dilation 2", [x.clone()], |x| max_pool2d(x[0].tensor(), [2, 2], [1, 1], [0, 0], [2, 2], false));
    ops.check("max_pool2d 2, ceil", [x.clone()], |x| max_pool2d(x[0].tensor(), [2, 2], [2, 2], [0, 0], [1, 1], true));
    ops.check("avg_pool2d 3, stride 2, padding 1, counted", [x.clone()], |x| {
        avg_pool2d(x[0].tensor(), [3, 3], [2, 2], [1, 1], true, false)
    });
    ops.check("avg_pool2d 3, stride 2, padding 1", [x.clone()], |x| {
        avg_pool2d(x[0].tensor(), [3, 3], [2, 2], [1, 1], false, false)
    });
    ops.check("avg_pool2d 2, ceil", [x.clone()], |x| avg_pool2d(x[0].tensor(), [2, 2], [2, 2], [0, 0], false, true));
    ops.check("adaptive_avg_pool2d", [x.clone()], |x| adaptive_avg_pool2d(x[0].tensor(), [2, 3]));
    for mode in [InterpolateMode::Nearest, InterpolateMode::Bilinear, InterpolateMode::Bicubic] {
        let name = format!("interpolate, {mode:?}");
        ops.check(&name, [x.clone()], |x| interpolate(x[0].tensor(), [7, 8], InterpolateOptions::new(mode.clone())));
    }
    let x = ops.draw.any([2, 3, 7]);
    ops.check("max_pool1d 3, stride 2, padding 1", [x], |x| max_pool1d(x[0].tensor(), 3, 2, 1, 1, false));
}

fn indexing(ops: &mut Ops) {
    let device = Default::default();
    let (x, y, other) = (ops.draw.any([3, 4]), ops.draw.any([3, 2]), ops.draw.any([3, 4]));
    ops.check("slice", [x.clone()], |x| x[0].tensor::<2>().slice([1..3, 0..2]));
    ops.check("slice_assign", [x.clone(), y.clone()], |x| x[0].tensor::<2>().slice_assign([0..3, 1..3], x[1].tensor()));
    ops.check("cat", [x.clone(), y.clone()], |x| Tensor::cat(vec![x[0].tensor::<2>(), x[1].tensor()], 1));
    ops.check("select", [x.clone()], |x| x[0].tensor::<2>().select(0, Tensor::<B, 1, Int>::from_ints([2, 0, 2], &device)));
    let indices = || Tensor::<B, 2, Int>::from_ints([[3, 3], [0, 1], [2, 2]], &device);
    ops.check("gather", [x.clone()], |x| x[0].tensor::<2>().gather(1, indices()));
    ops.check("scatter, add", [x.clone(), y], |x| x[0].tensor::<2>().scatter(1, indices(), x[1].tensor(), IndexingUpdateOp::Add));
    ops.check("mask_where", [x.clone(), other], |x| {
        let mask = x[0].tensor::<2>().inner().greater_elem(0.3);
        x[0].tensor::<2>().mask_where(Tensor::from_inner(mask), x[1].tensor())
    });
    ops.check("repeat_dim", [x.clone()], |x| x[0].tensor::<2>().repeat_dim(1, 2));
    ops.check("repeat_dim, of an axis of size 1", [x.clone()], |x| x[0].tensor::<2>().sum_dim(1).repeat_dim(1, 2));
    ops.check("repeat", [x.clone()], |x| x[0].tensor::<2>().repeat(&[2, 1]));
    ops.check("flip", [x.clone()], |x| x[0].tensor::<2>().flip([0, 1]));
    ops.check("roll", [x], |x| x[0].tensor::<2>().roll(&[1, 2], &[0, 1]));
}

fn main() {
    // What burn panics with is in the report.
    std::panic::set_hook(Box::new(|_| {}));
    let mut ops = Ops { survey: Survey::default(), draw: Draw::seed(0) };
    elementwise(&mut ops);
    reductions(&mut ops);
    products_and_convolutions(&mut ops);
    pooling_and_resizing(&mut ops);
    indexing(&mut ops);
    ops.survey.finish();
}
