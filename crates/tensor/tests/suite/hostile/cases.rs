//! The public functions, a list for each file.

use super::draw::Draw;
use super::{Case, Seen};
use gradus_tensor::shape::{Axes, Axis, Dims, broadcast_shapes, checked_numel, flattened, reduced_shape};
use gradus_tensor::*;

/// The cases of every file.
pub fn all() -> Vec<Case> {
    [
        shapes(),
        tensors(),
        creation(),
        views(),
        elementwise(),
        numbers(),
        comparisons(),
        joins(),
        picks(),
        reductions(),
        orders(),
        products(),
        systems(),
        sums_of_products(),
        convolutions(),
        pools(),
        sequences(),
        losses(),
        norms(),
        taps(),
        random(),
        the_rest(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `names => |d| call;` for each function, where errors begin with one of the names.
macro_rules! cases {
    ($($name:literal $(or $other:literal)* => |$d:ident| $call:expr;)*) => {
        vec![$(Case { names: &[$name $(, $other)*], call: |$d: &mut Draw| ($call).seen() }),*]
    };
}

// After the macro, which it uses.
mod kernels;
use kernels::*;

fn shapes() -> Vec<Case> {
    cases! {
        "numel" => |d| Shape::from(d.sizes()).numel();
        "rank" => |d| Shape::from(&d.sizes()[..]).rank();
        "strides" => |d| { let _ = Shape::from(d.sizes()).strides(); };
        "insert" => |d| { let mut s = Shape::from(d.sizes()); s.insert(d.number(), d.number()); s };
        "remove" => |d| { let mut s = Shape::from(d.sizes()); s.remove(d.number()) };
        "push" => |d| { let mut s = Shape::from(d.sizes()); s.push(d.number()); s };
        "shape_op" => |d| Shape::from(d.sizes()).checked("shape_op");
        "checked_numel" => |d| { checked_numel(&d.sizes()); };
        "display" => |d| format!("{} {:?}", Shape::from(d.number()), Shape::from(d.sizes()));
        "broadcast" => |d| broadcast_shapes("broadcast", &d.sizes(), &d.sizes());
        "reduced_shape" => |d| reduced_shape(&d.sizes(), &[d.number(), d.number()], d.once_in(2));
        "flattened" => |d| flattened("flattened", &d.sizes(), d.axis());
        "axis" => |d| d.axis().resolve("axis", d.number());
        "axes" => |d| { let (axes, rank) = (d.axes(), d.below(5)); axes.resolve_all("axes", rank).map(|_| ()) };
        "reshape" => |d| { let dims = d.dims(); dims.resolve_dims(&d.sizes()) };
    }
}

fn tensors() -> Vec<Case> {
    cases! {
        "from_vec" => |d| { let n = d.small(); Tensor::from_vec(vec![1f32; n], d.shape()) };
        "from_vec" => |d| { let n = d.small(); Tensor::try_from_vec(vec![1f32; n], d.shape()) };
        "build" => |d| { let v = d.value(); Tensor::<f32>::build(d.shape(), |out| out.fill(v)) };
        "shape" => |d| d.tensor::<f32>().shape().clone();
        "strides" => |d| { let _ = d.tensor::<f32>().strides(); };
        "rank" => |d| d.tensor::<f32>().rank();
        "numel" => |d| d.tensor::<f32>().numel();
        "size" => |d| d.tensor::<f32>().size(d.axis());
        "is_contiguous" => |d| d.tensor::<f32>().is_contiguous();
        "as_slice" => |d| d.tensor::<f32>().as_slice().map_or(0, <[f32]>::len);
        "contiguous" => |d| d.tensor::<f32>().contiguous();
        "copy" => |d| d.tensor::<f32>().copy();
        "to_vec" => |d| d.tensor::<f32>().to_vec().len();
        "as_mut_slice" => |d| d.tensor::<f32>().as_mut_slice().len();
        "at" => |d| d.tensor::<f32>().at([]);
        "at" => |d| d.tensor::<f32>().at([d.number()]);
        "at" => |d| d.tensor::<f32>().at([d.number(), d.number()]);
        "at" => |d| d.tensor::<f32>().at([d.number(), d.number(), d.number()]);
        "item" => |d| d.tensor::<f32>().item();
        "nbytes" => |d| d.tensor::<f64>().nbytes();
        "shares_buffer_with" => |d| d.tensor::<f32>().shares_buffer_with(&d.tensor());
        "buffer_owners" => |d| d.tensor::<f32>().buffer_owners();
        "clone" => |d| { let x = d.tensor::<f32>(); (x.clone(), x) };
        "eq" => |d| { let x = d.tensor::<f32>(); x == d.beside(x.shape()) };
        "display" => |d| { let (x, digits) = (d.tensor::<f64>(), d.small()); format!("{x:.digits$} {x:?}") };
        "display" => |d| d.tensor::<i64>();
    }
}

fn creation() -> Vec<Case> {
    cases! {
        "full" => |d| Tensor::full(d.shape(), d.value::<f32>());
        "full" => |d| Tensor::full(d.shape(), true);
        "scalar" => |d| Tensor::scalar(d.value::<i64>());
        "from_fn" => |d| { let v = d.value::<f32>(); Tensor::from_fn(d.shape(), |_| v) };
        "zeros" => |d| Tensor::<f32>::zeros(d.shape());
        "zeros" => |d| Tensor::<u8>::zeros(d.shape());
        "zeros" => |d| Tensor::<f64>::zeros(d.number() | 1 << 48);
        "ones" => |d| Tensor::<f64>::ones(d.shape());
        "eye" => |d| Tensor::<f32>::eye(d.count());
        "arange" => |d| Tensor::<f64>::arange(d.float(), d.float(), d.float());
        "arange" => |d| Tensor::<u8>::arange(d.value(), d.value(), d.value());
        "linspace" => |d| Tensor::<f32>::linspace(d.float(), d.float(), d.count());
        "from" => |d| Tensor::from([[[[d.value::<f32>()]], [[d.value()]]]]);
        "from" => |d| Tensor::from(vec![d.value::<f32>(); 3]);
    }
}

fn views() -> Vec<Case> {
    cases! {
        "reshape" => |d| d.tensor::<f32>().reshape(d.dims());
        "reshape" => |d| d.tensor::<f32>().reshape(d.shape());
        "reshape" => |d| d.tensor::<f32>().reshape(d.signed());
        "reshape" => |d| d.tensor::<f32>().reshape([d.number(), d.number()]);
        "flatten" or "reshape" => |d| d.tensor::<f32>().flatten(d.axis());
        "permute" => |d| { let n = d.below(5); let axes: Vec<_> = (0..n).map(|_| d.axis()).collect(); d.tensor::<f32>().permute(axes) };
        "transpose" => |d| d.tensor::<f32>().transpose(d.axis(), d.axis());
        "t" or "transpose" => |d| d.tensor::<f32>().t();
        "slice" => |d| d.tensor::<f32>().slice(d.axis(), d.range());
        "slice" => |d| d.tensor::<f32>().slice_step(d.axis(), d.range(), d.signed());
        "slice" => |d| d.tensor::<f32>().slice_step(d.below(2), .., d.signed()).slice_step(0, .., d.signed());
        "select" => |d| d.tensor::<f32>().select(d.axis(), d.number());
        "expand" => |d| d.tensor::<f32>().expand(d.shape());
        "expand" => |d| Tensor::scalar(d.value::<f64>()).expand(d.sizes());
        "squeeze" => |d| d.tensor::<f32>().squeeze(d.axes());
        "unsqueeze" => |d| d.tensor::<f32>().unsqueeze(d.axis());
        "flip" => |d| d.tensor::<f32>().flip(d.axes());
        "diagonal" => |d| d.tensor::<f32>().diagonal(d.signed());
    }
}

/// Methods without arguments.
macro_rules! plain {
    ($t:ty: $($name:ident),*) => {
        vec![$(Case { names: &[stringify!($name)], call: |d| d.tensor::<$t>().$name().seen() }),*]
    };
}

fn elementwise() -> Vec<Case> {
    let mut all = plain!(f32: abs, recip, sqrt, exp, exp_m1, exp2, ln, ln_1p, log2, log10, sin, cos, tan, asin, acos, atan, sinh, cosh,
        tanh, sigmoid, erf, floor, ceil, round, trunc, sign, square, relu, relu6, gelu, gelu_tanh, silu, softplus, selu, mish, softsign,
        log_sigmoid, hardsigmoid, hardswish, tanhshrink);
    all.extend(cases! {
        "map" => |d| d.tensor::<f32>().map(|v| v > 0.0);
        "map_into" => |d| d.tensor::<f32>().map_into(|v| v + 1.0);
        "pair" => |d| { let x = d.tensor::<f32>(); x.zip_map("pair", &d.beside::<f64>(x.shape()), |a, b| f64::from(a) < b) };
        "pair" => |d| { let x = d.tensor::<f32>(); x.try_zip_map("pair", &d.beside::<f32>(x.shape()), |a, b| a * b) };
        "pair" => |d| { let x = d.tensor::<f32>(); let y = d.beside::<f32>(x.shape()); x.zip_map_into("pair", &y, |a, b| a * b) };
        "powf" => |d| d.tensor::<f32>().powf(d.float());
        "pow" => |d| { let x = d.tensor::<f64>(); x.pow(&d.beside(x.shape())) };
        "atan2" => |d| { let x = d.tensor::<f64>(); x.atan2(&d.beside(x.shape())) };
        "maximum" => |d| { let x = d.tensor::<f64>(); x.maximum(&d.beside(x.shape())) };
        "minimum" => |d| { let x = d.tensor::<f64>(); x.minimum(&d.beside(x.shape())) };
        "clamp" => |d| d.tensor::<f64>().clamp(d.float(), d.float());
        "hardtanh" => |d| d.tensor::<f32>().hardtanh(d.float(), d.float());
        "threshold" => |d| d.tensor::<f32>().threshold(d.float(), d.float());
        "leaky_relu" => |d| d.tensor::<f32>().leaky_relu(d.float());
        "elu" => |d| d.tensor::<f32>().elu(d.float());
        "celu" => |d| d.tensor::<f32>().celu(d.float());
        "softshrink" => |d| d.tensor::<f32>().softshrink(d.float());
        "hardshrink" => |d| d.tensor::<f32>().hardshrink(d.float());
        "cast" => |d| d.tensor::<f64>().cast::<u8>();
        "cast" => |d| d.tensor::<i64>().cast::<f32>();
        "cast" => |d| d.tensor::<i64>().cast::<i32>();
        "update_with" => |d| {
            let mut x = d.tensor::<f32>();
            let (g, mut s) = (d.beside(x.shape()), d.beside(x.shape()));
            x.update_with(&g, [&mut s], |w, g, [s]| { *s += g; *w -= *s; });
            (x, s)
        };
    });
    all
}

/// An operator between tensors, by value and by reference, and with numbers.
macro_rules! operator {
    ($t:ty, $name:literal, $op:tt, $assign_name:literal, $assign:tt) => {
        cases! {
            $name => |d| { let x = d.tensor::<$t>(); &x $op &d.beside(x.shape()) };
            $name => |d| { let x = d.tensor::<$t>(); let y = d.beside::<$t>(x.shape()); x $op &y };
            $name => |d| { let x = d.tensor::<$t>(); &x $op d.beside::<$t>(x.shape()) };
            $name => |d| { let x = d.tensor::<$t>(); let y = d.beside::<$t>(x.shape()); x $op y };
            $name => |d| &d.tensor::<$t>() $op d.float();
            $name => |d| d.tensor::<$t>() $op d.float();
            $name => |d| d.float() $op &d.tensor::<$t>();
            $name => |d| d.float() $op d.tensor::<$t>();
            $assign_name or $name => |d| { let mut x = d.tensor::<$t>(); x $assign &d.beside(x.shape()); x };
            $name or $assign_name => |d| { let mut x = d.tensor::<$t>(); x $assign d.float(); x };
        }
    };
}

fn numbers() -> Vec<Case> {
    let mut all = cases! {
        "neg" => |d| -&d.tensor::<f32>();
        "neg" => |d| -d.tensor::<f32>();
    };
    all.extend(operator!(f32, "add", +, "add_assign", +=));
    all.extend(operator!(f32, "sub", -, "sub_assign", -=));
    all.extend(operator!(f32, "mul", *, "mul_assign", *=));
    all.extend(operator!(f32, "div", /, "div_assign", /=));
    all.extend(operator!(i64, "add", +, "add_assign", +=));
    all.extend(operator!(i64, "sub", -, "sub_assign", -=));
    all.extend(operator!(i64, "mul", *, "mul_assign", *=));
    all.extend(operator!(i64, "div", /, "div_assign", /=));
    all.extend(operator!(u8, "mul", *, "mul_assign", *=));
    all.extend(operator!(i32, "div", /, "div_assign", /=));
    all
}

fn comparisons() -> Vec<Case> {
    cases! {
        "eq" => |d| { let x = d.tensor::<f32>(); x.eq(&d.beside(x.shape())) };
        "ne" => |d| d.tensor::<f32>().ne(d.float());
        "lt" => |d| { let x = d.tensor::<i64>(); x.lt(&d.beside(x.shape())) };
        "le" => |d| d.tensor::<i64>().le(d.float());
        "gt" => |d| d.tensor::<u8>().gt(d.float());
        "ge" => |d| { let x = d.tensor::<f64>(); x.ge(&d.beside(x.shape())) };
        "where" or "expand" => |d| {
            let x = d.tensor::<f32>();
            let (mask, y) = (d.mask(&x), d.beside(x.shape()));
            x.where_(&mask, &y)
        };
        "and" => |d| { let x = d.tensor::<f32>(); d.mask(&x).and(&d.mask(&x)) };
        "or" => |d| { let x = d.tensor::<f32>(); d.mask(&x).or(&d.mask(&x)) };
        "not" => |d| { let x = d.tensor::<f32>(); d.mask(&x).not() };
        "all" => |d| { let x = d.tensor::<f32>(); d.mask(&x).all() };
        "any" => |d| { let x = d.tensor::<f32>(); d.mask(&x).any() };
        "to_num" => |d| { let x = d.tensor::<f32>(); d.mask(&x).to_num::<i64>() };
    }
}

fn joins() -> Vec<Case> {
    cases! {
        "concat" => |d| { let x = d.tensor::<f32>(); Tensor::concat(&[&x, &d.beside(x.shape()), &x], d.axis()) };
        "concat" => |d| Tensor::<f32>::concat(&[], d.axis());
        "stack" => |d| { let x = d.tensor::<f32>(); Tensor::stack(&[&x, &d.beside(x.shape())], d.axis()) };
        "stack" => |d| Tensor::<f32>::stack(&[], d.axis());
        "split" => |d| d.tensor::<f32>().split(d.number(), d.axis());
        "chunk" => |d| d.tensor::<f32>().chunk(d.number(), d.axis());
        "split_sizes" => |d| { let sizes = d.sizes(); d.tensor::<f32>().split_sizes(&sizes, d.axis()) };
        "pad" => |d| {
            let x = d.tensor::<f32>();
            let n = if d.once_in(8) { d.below(4) } else { x.rank() };
            let pads: Vec<_> = (0..n).map(|_| [d.count(), d.count()]).collect();
            x.pad(&pads, d.float())
        };
        "pad" => |d| d.tensor::<u8>().pad(&[[d.count(), 1]], d.float());
        "repeat" => |d| {
            let x = d.tensor::<f32>();
            let n = if d.once_in(8) { d.below(4) } else { x.rank() };
            let reps: Vec<_> = (0..n).map(|_| d.count()).collect();
            x.repeat(&reps)
        };
        "roll" => |d| d.tensor::<f32>().roll(d.signed(), d.axis());
    }
}

fn picks() -> Vec<Case> {
    cases! {
        "gather" => |d| { let index = d.indices(); d.beside::<f32>(index.shape()).gather(d.axis(), &index) };
        "index_select" => |d| { let n = d.small(); let index = d.indices_of(&[n]); d.tensor::<f32>().index_select(d.axis(), &index) };
        "index_select" => |d| d.tensor::<f32>().index_select(d.axis(), &d.indices());
        "masked_fill" or "expand" or "where" => |d| { let x = d.tensor::<f32>(); x.masked_fill(&d.mask(&x), d.float()) };
        "masked_fill" or "expand" or "where" => |d| { let x = d.tensor::<i64>(); x.masked_fill(&d.mask(&x), d.float()) };
        "scatter_add" => |d| {
            let index = d.indices();
            let (x, src) = (d.beside::<i64>(index.shape()), d.beside(index.shape()));
            if d.once_in(2) { x.scatter_add(d.axis(), &index, &src) } else { x.scatter_add_into(d.axis(), &index, &src) }
        };
        "index_add" => |d| {
            let (x, index) = (d.tensor::<i64>(), d.tensor::<i64>());
            let src = d.beside(x.shape());
            if d.once_in(2) { x.index_add(d.axis(), &index, &src) } else { x.index_add_into(d.axis(), &index, &src) }
        };
        "index_add" => |d| {
            let index = d.indices_of(&[2]);
            Tensor::<f32>::zeros([d.small()]).index_add(d.axis(), &index, &d.tensor_of(&[2]))
        };
        "slice_add" => |d| { let x = d.tensor::<i64>(); let src = d.beside(x.shape()); x.slice_add_into(d.axis(), d.number(), d.signed(), &src) };
        "slice_add" => |d| Tensor::<f32>::zeros([7]).slice_add_into(0, d.number(), d.signed(), &Tensor::ones([d.small()]));
        "pad_step" => |d| d.tensor::<f32>().pad_step(d.axis(), d.count(), d.number(), d.signed());
        "pad_step" => |d| Tensor::<f32>::ones([d.below(3)]).pad_step(0, d.count(), d.number(), d.signed());
        "diagonal_embed" => |d| d.tensor::<f32>().diagonal_embed(d.signed(), d.count(), d.count());
        "diagonal_embed" => |d| Tensor::<f32>::ones([2, d.below(3)]).diagonal_embed(d.signed(), d.count(), d.count());
        "one_hot" => |d| d.indices().one_hot::<f32>(d.count());
        "one_hot" => |d| d.tensor::<i64>().one_hot::<f64>(d.count());
        "bincount" => |d| d.indices().bincount(d.count());
    }
}

fn reductions() -> Vec<Case> {
    cases! {
        "sum" => |d| d.tensor::<f32>().sum(d.axes());
        "sum" => |d| d.tensor::<i64>().sum(d.axis_list());
        "sum" => |d| d.tensor::<i64>().sum_keep(d.axes());
        "prod" => |d| d.tensor::<i64>().prod(d.axes());
        "prod" => |d| d.tensor::<f32>().prod_keep(d.axes());
        "max" => |d| d.tensor::<f32>().max(d.axes());
        "max" => |d| d.tensor::<i64>().max_keep(d.axes());
        "min" => |d| d.tensor::<f32>().min(d.axes());
        "min" => |d| d.tensor::<u8>().min_keep(d.axes());
        "argmax" => |d| d.tensor::<f32>().argmax(d.axis());
        "argmin" => |d| d.tensor::<i64>().argmin(d.axis());
        "cumsum" => |d| d.tensor::<i64>().cumsum(d.axis());
        "mean" => |d| d.tensor::<f32>().mean(d.axes());
        "mean" => |d| d.tensor::<f32>().mean_keep(d.axes());
        "var" => |d| d.tensor::<f32>().var(d.axes(), d.number());
        "var" => |d| d.tensor::<f32>().var_keep(d.axes(), d.number());
        "logsumexp" => |d| d.tensor::<f32>().logsumexp(d.axes());
        "logsumexp" => |d| d.tensor::<f32>().logsumexp_keep(d.axes());
        "sum_to" => |d| d.tensor::<f32>().sum_to(d.sizes());
        "sum_to" => |d| { let x = d.tensor::<f32>(); let at = d.below(4); let to: Shape = x.shape().iter().skip(at).copied().collect(); x.sum_to(to) };
    }
}

fn orders() -> Vec<Case> {
    cases! {
        "sort" or "argsort" => |d| d.tensor::<f32>().sort(d.axis(), d.once_in(2));
        "argsort" => |d| d.tensor::<i64>().argsort(d.axis(), d.once_in(2));
        "topk" => |d| d.tensor::<f32>().topk(d.number(), d.axis());
        "unique" => |d| d.tensor::<f32>().unique();
    }
}

fn random() -> Vec<Case> {
    cases! {
        "below" => |d| { let mut rng = d.rng(); rng.below(d.number()) };
        "permutation" => |d| { let mut rng = d.rng(); rng.permutation(d.count()).len() };
        "shuffle" => |d| { let mut rng = d.rng(); rng.shuffle(&mut vec![0; d.small()]) };
        "rng" => |d| { let mut rng = d.rng(); rng.next_u64(); rng.uniform(); rng.normal(); let split = rng.split(); (split, rng.state()) };
        "uniform" => |d| { let mut rng = d.rng(); Tensor::<f32>::uniform(d.shape(), d.float(), d.float(), &mut rng) };
        "normal" => |d| { let mut rng = d.rng(); Tensor::<f64>::normal(d.shape(), d.float(), d.float(), &mut rng) };
        "permutation" => |d| { let mut rng = d.rng(); Tensor::permutation(d.count(), &mut rng) };
        "randint" => |d| { let mut rng = d.rng(); Tensor::randint(d.shape(), d.label(), d.label(), &mut rng) };
        "randint" => |d| { let mut rng = d.rng(); Tensor::randint([3], i64::MIN, i64::MAX, &mut rng) };
        "bernoulli" => |d| { let mut rng = d.rng(); Tensor::bernoulli(d.shape(), d.float(), &mut rng) };
    }
}

fn the_rest() -> Vec<Case> {
    cases! {
        "memory" => |d| { let _ = d.tensor::<f32>(); format!("{:?}", memory_stats()) };
        "observe" => |d| { let before = observe_buffers(Some(|_| ())); let x = d.tensor::<f32>(); observe_buffers(before); x };
        "simd" => |d| { let _ = d; simd() };
    }
}
