//! The public functions, a list for each file.

use super::draw::Draw;
use super::{Case, Seen};
use gradus_tensor::shape::{Axes, Axis, Dims, broadcast_shapes, checked_numel, reduced_shape};
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
        "flatten" or "reshape" => |d| d.tensor::<f32>().flatten();
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
        tanh, sigmoid, erf, floor, ceil, round, trunc, sign, square, relu);
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
            mask.select_where(&x, &y)
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
            x.pad(&pads, d.value())
        };
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
        "masked_fill" or "expand" or "where" => |d| { let x = d.tensor::<f32>(); x.masked_fill(&d.mask(&x), d.value()) };
        "scatter_add" => |d| {
            let index = d.indices();
            let (x, src) = (d.beside::<i64>(index.shape()), d.beside(index.shape()));
            x.scatter_add(d.axis(), &index, &src)
        };
        "index_add" => |d| {
            let (x, index) = (d.tensor::<i64>(), d.tensor::<i64>());
            let src = d.beside(x.shape());
            x.index_add(d.axis(), &index, &src)
        };
        "index_add" => |d| {
            let index = d.indices_of(&[2]);
            Tensor::<f32>::zeros([d.small()]).index_add(d.axis(), &index, &d.tensor_of(&[2]))
        };
        "slice_add" => |d| { let x = d.tensor::<i64>(); let src = d.beside(x.shape()); x.slice_add(d.axis(), d.number(), d.signed(), &src) };
        "slice_add" => |d| Tensor::<f32>::zeros([7]).slice_add(0, d.number(), d.signed(), &Tensor::ones([d.small()]));
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

fn products() -> Vec<Case> {
    cases! {
        "matmul" => |d| d.factors::<f32>(|a, b| a.matmul(b));
        "matmul" => |d| { let x = d.tensor::<f64>(); x.matmul(&d.beside(x.shape())) };
        "matmul" => |d| { let x = d.tensor::<f32>(); if x.rank() > 1 { x.matmul(&x.t()) } else { x.matmul(&x) } };
        "matmul" => |d| matmul_shape(&d.sizes(), &d.sizes());
        "addmm" => |d| d.factors::<f64>(|a, b| {
            let shape = [a.shape().first().copied().unwrap_or(1), b.shape().last().copied().unwrap_or(1)];
            Tensor::full(shape.map(|n| n.min(5)), 1.0).addmm(a, b)
        });
        "addmm" => |d| d.tensor::<f32>().addmm(&d.tensor(), &d.tensor());
        "linear" => |d| {
            let relu = d.once_in(2);
            d.factors::<f32>(|a, b| {
                let w = if b.rank() == 2 { b.t() } else { b.clone() };
                let bias = Tensor::full([w.shape().first().copied().unwrap_or(1)], 1.0);
                a.linear(&w, &bias, relu)
            })
        };
        "linear" => |d| d.tensor::<f32>().linear(&d.tensor(), &d.tensor(), true);
        "dot" => |d| { let x = d.tensor::<f32>(); x.dot(&d.beside(x.shape())) };
        "dot" => |d| d.vector().dot(&d.vector());
        "outer" => |d| d.vector().outer(&d.vector());
        "tril" => |d| d.tensor::<f32>().tril(d.signed());
        "triu" => |d| d.tensor::<i64>().triu(d.signed());
    }
}

fn systems() -> Vec<Case> {
    cases! {
        "lu" => |d| d.tensor::<f64>().lu().map(|_| ());
        "solve" => |d| { let n = d.below(4); let a = d.tensor_of::<f64>(&[n, n]); a.solve(&d.beside(&[n, 2])) };
        "solve" or "lu" => |d| d.tensor::<f32>().solve(&d.tensor());
        "solve" => |d| solve_shape(&d.sizes(), &d.sizes());
        "solve" or "lu" => |d| {
            let x = if d.once_in(2) { Tensor::<f32>::eye(d.below(4)) } else { Tensor::zeros([0, 3, 3]) };
            let b = d.beside(x.shape());
            x.lu().map(|lu| (lu.solve(&b), lu.solve_transposed(&b)))
        };
    }
}

fn sums_of_products() -> Vec<Case> {
    const SPECS: [&str; 14] = [
        "ij,jk->ik",
        "ij,jk",
        "ii",
        "ii->i",
        "i,j->ij",
        "i,j,i,j->",
        "...ij,...jk->...ik",
        "...",
        "",
        "->",
        ",",
        "ij->ji->",
        "aA,.b",
        "é,j",
    ];
    cases! {
        "einsum" => |d| { let x = d.tensor::<f32>(); let y = d.beside(x.shape()); einsum(d.of(&SPECS), &[&x, &y]) };
        "einsum" => |d| { let x = d.tensor::<f32>(); einsum(d.of(&SPECS), &[&x]) };
        "einsum" => |d| { let (x, y) = (d.vector(), d.vector()); einsum("i,j->ij", &[&x, &y]) };
        "einsum" => |d| { let (x, y) = (d.vector(), d.vector()); einsum("i,j,i,j->", &[&x, &y, &x, &y]) };
        "einsum" => |d| d.factors::<f32>(|a, b| einsum("ij,jk", &[a, b]));
        "einsum" => |d| einsum::<f32>(d.of(&SPECS), &[]);
        "einsum" => |d| einsum_plan(d.of(&SPECS), &[&d.sizes(), &d.sizes()]).map(|plan| plan.size(Label::Ellipsis(d.number())));
        "einsum" => |d| einsum_plan(d.of(&SPECS), &[&d.sizes()]).map(|plan| plan.shape(plan.output()));
        "einsum" => |d| {
            einsum_plan("ij,jk", &[&[2, 3], &[3, 4]]).map(|mut plan| {
                plan.take_diagonal(d.number());
                plan.run(&[&d.tensor::<f32>(), &d.tensor()])
            })
        };
        "einsum" => |d| {
            let x = d.tensor::<f32>();
            einsum_plan(d.of(&SPECS), &[x.shape()]).map(|plan| {
                let adjoint = plan.adjoint(d.number());
                adjoint.run(&[&d.beside::<f32>(&plan.shape(plan.output()))])
            })
        };
    }
}

fn convolutions() -> Vec<Case> {
    cases! {
        "conv2d" => |d| { let (x, w, o) = d.conv(); x.conv2d(&w, o) };
        "conv2d" => |d| d.tensor::<f32>().conv2d(&d.tensor(), Conv2dOptions::default());
        "conv2d_relu" => |d| { let (x, w, o) = d.conv(); let f = w.shape().first().copied().unwrap_or(1); let b = d.beside(&[f]); x.conv2d_relu(&w, Some(&b), o) };
        "conv2d_input_grad" => |d| { let (x, w, o) = d.conv(); let gy = d.gradient_of_conv(&x, &w, &o); gy.conv2d_input_grad(&w, x.shape(), o) };
        "conv2d_input_grad" => |d| { let (x, w, o) = d.conv(); x.conv2d_input_grad(&w, d.shape(), o) };
        "conv2d_input_grad" => |d| { let (x, w, o) = d.conv(); x.conv2d_input_grad(&w, [1, 1, d.count(), d.count()], o) };
        "conv2d_weight_grad" => |d| { let (x, w, o) = d.conv(); let gy = d.gradient_of_conv(&x, &w, &o); x.conv2d_weight_grad(&gy, w.shape(), o) };
        "conv2d_weight_grad" => |d| { let (x, w, o) = d.conv(); x.conv2d_weight_grad(&w, [d.count(), 1, d.count(), d.count()], o) };
        "conv2d_grads" => |d| { let (x, w, o) = d.conv(); let gy = d.gradient_of_conv(&x, &w, &o); x.conv2d_grads(&w, &gy, o) };
        "conv2d" => |d| { let (_, _, o) = d.conv(); conv2d_shape(&d.sizes(), &d.sizes(), &o) };
        "conv2d" => |d| { let (_, _, o) = d.conv(); conv2d_shape(&[1, 1, d.number(), d.number()], &[1, 1, d.number(), d.number()], &o) };
        "same" => |d| {
            let o = Conv2dOptions::default().stride(d.pair()).dilation(d.pair()).groups(d.number()).algorithm(ConvAlgorithm::Direct);
            let (size, kernel) = (d.pair(), d.pair());
            let o = o.same(size, kernel).padding([d.pair(), d.pair()]);
            format!("{o:?}")
        };
        "pad_op" => |d| same_padding("pad_op", d.number(), d.number(), d.number(), d.number()).map(|_| ());
        "reach_op" => |d| window_reach("reach_op", d.number(), d.number()).map(|_| ());
    }
}

fn pools() -> Vec<Case> {
    cases! {
        "max_pool2d" => |d| { let (x, o) = d.pool(); x.max_pool2d(o).0 };
        "max_pool2d" => |d| { let (_, o) = d.pool(); d.tensor::<f32>().max_pool2d(o).0 };
        "avg_pool2d" => |d| { let (x, o) = d.pool(); x.avg_pool2d(o) };
        "avg_pool2d_grad" => |d| { let (x, o) = d.pool(); let gy = d.gradient_of_pool(&x, &o); gy.avg_pool2d_grad(x.shape(), o) };
        "avg_pool2d_grad" => |d| { let (x, o) = d.pool(); x.avg_pool2d_grad(d.shape(), o) };
        "pool2d" => |d| { let (_, o) = d.pool(); pool2d_shape(&d.sizes(), &o) };
        "pool2d" => |d| { let (_, o) = d.pool(); pool2d_shape(&[d.number(), d.number(), d.number(), d.number()], &o) };
        "pool_scatter" => |d| { let (x, _) = d.pool(); let i = d.beside::<i32>(x.shape()); let s = [d.count(), d.small()]; x.pool_scatter(&i, x.shape().iter().take(2).copied().chain(s).collect::<Shape>()) };
        "pool_scatter" => |d| d.tensor::<f32>().pool_scatter(&d.tensor(), d.shape());
        "pool_gather" => |d| { let (x, _) = d.pool(); let i = d.beside::<i32>(x.shape()); x.pool_gather(&i) };
        "pool_gather" => |d| d.tensor::<f32>().pool_gather(&d.tensor());
        "options" => |d| format!("{:?} {:?}", Pool2dOptions::new(d.number()).stride(d.pair()), Pool2dOptions::rectangle(d.pair()).padding([d.pair(); 2]));
    }
}

fn sequences() -> Vec<Case> {
    cases! {
        "cell" => |d| d.sequence(1).map(|_| ());
        "cell" => |d| FusedSequence::<f32>::new("cell", &d.tensor(), &d.tensor(), None, d.number()).map(|_| ());
        "cell" => |d| { let gates = d.gates(1); d.sequence(gates).and_then(|(s, h)| s.elman(&d.beside(&h), d.once_in(2))) };
        "cell" => |d| { let gates = d.gates(4); d.sequence(gates).and_then(|(s, h)| s.lstm(&d.beside(&h), &d.beside(&h))) };
        "cell" => |d| { let gates = d.gates(3); d.sequence(gates).and_then(|(s, h)| s.gru(&d.beside(&[3 * h[1]]), &d.beside(&h))) };
        "cell" => |d| d.sequence(1).and_then(|(s, h)| {
            let states = s.elman(&d.tensor_of(&h), false)?;
            let gy = states.slice(0, 1..);
            Ok(s.elman_grad(&states, &d.either(&gy), false))
        });
        "cell" => |d| d.sequence(4).and_then(|(s, h)| {
            let [states, memories, gates] = s.lstm(&d.tensor_of(&h), &d.tensor_of(&h))?;
            let (gy, gc) = (memories.slice(0, 1..), d.beside(&h));
            Ok(s.lstm_grad(&[d.either(&states), d.either(&memories), d.either(&gates)], &d.either(&gy), &gc))
        });
        "cell" => |d| d.sequence(3).and_then(|(s, h)| {
            let [states, gates] = s.gru(&d.tensor_of(&[3 * h[1]]), &d.tensor_of(&h))?;
            let gy = states.slice(0, 1..);
            Ok(s.gru_grad(&[d.either(&states), d.either(&gates)], &d.either(&gy)))
        });
        "gru_gates" => |d| { let (n, h) = (d.small(), d.small()); let p = d.beside::<f32>(&[n, 3 * h]); p.gru_gates(&d.beside(&[n, 3 * h]), &d.beside(&[n, h])) };
        "gru_gates" => |d| {
            let (n, h) = (d.small(), d.small());
            let p = d.beside::<f32>(&[n, 3 * h]);
            p.gru_gates_grad(&d.beside(&[n, 3 * h]), &d.beside(&[n, h]), &d.beside(&[n, h]))
        };
    }
}

fn losses() -> Vec<Case> {
    cases! {
        "cross_entropy" => |d| {
            let (n, c) = (d.small(), d.small());
            let labels = d.indices_of(&[n]);
            d.beside::<f32>(&[n, c]).cross_entropy(&labels)
        };
        "cross_entropy" or "zeros" => |d| d.tensor::<f32>().cross_entropy(&d.tensor());
        "cross_entropy" => |d| {
            let (n, c) = (d.small(), d.small());
            let labels = d.indices_of(&[n]);
            d.beside::<f32>(&[n, c]).cross_entropy_grad(&labels, &[d.beside(&[n]), d.beside(&[n])], &d.beside(&[n]))
        };
        "softmax" => |d| d.tensor::<f32>().softmax(d.axis());
        "log_softmax" => |d| d.tensor::<f64>().log_softmax(d.axis());
        "logsumexp" or "zeros" => |d| d.tensor::<f32>().log_sums(d.axes());
        "logsumexp" => |d| {
            let (x, axes) = (d.tensor_of::<f32>(&[2, 3]), d.axes());
            let kept = if d.once_in(2) { [2, 1] } else { [1, 1] };
            x.logsumexp_grad(axes, &[d.beside(&kept), d.beside(&kept)], &d.beside(&kept))
        };
    }
}

/// Functions made of others, which may refuse in their names.
fn norms() -> Vec<Case> {
    cases! {
        "largest_size" => |d| d.tensor::<f32>().largest_size();
        "norm" or "square" or "sum" => |d| d.tensor::<f32>().norm(d.axes());
        "norm" or "square" or "sum" => |d| d.tensor::<f64>().norm_keep(d.axes());
        "std" or "mean" or "sub" => |d| d.tensor::<f32>().std(d.axes(), d.number());
        "std" or "mean" or "sub" => |d| d.tensor::<f64>().std_keep(d.axes(), d.number());
    }
}

fn taps() -> Vec<Case> {
    cases! {
        "taps" => |d| { let taps = Taps::new(d.number(), [vec![(d.number(), d.value::<f32>())], vec![]]); taps.outputs() };
        "taps" => |d| { let n = d.count(); Taps::<f32>::new(3, (0..n).map(|_| vec![])).outputs() };
        "taps" => |d| Taps::new(d.count(), [vec![(0, d.value::<f32>())]]).transposed().outputs();
        "weighted_sums" or "taps" => |d| {
            let taps = Taps::new(d.number(), [vec![(d.below(3), 1f32)], vec![], vec![(0, d.value()), (1, d.value())]]);
            d.tensor::<f32>().weighted_sums(d.axis(), &taps)
        };
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
