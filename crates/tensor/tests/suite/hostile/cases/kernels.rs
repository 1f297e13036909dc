//! Products, convolutions, pools, sequences, losses and norms: what has kernels of its own.

use super::super::draw::Draw;
use super::super::{Case, Seen};
use gradus_tensor::*;

pub fn products() -> Vec<Case> {
    cases! {
        "matmul" => |d| d.factors::<f32>(|a, b| a.matmul(b));
        "matmul" => |d| { let x = d.tensor::<f64>(); x.matmul(&d.beside(x.shape())) };
        "matmul" => |d| { let x = d.tensor::<f32>(); if x.rank() > 1 { x.matmul(&x.t()) } else { x.matmul(&x) } };
        "matmul" => |d| matmul_shape(&d.sizes(), &d.sizes());
        "addmm" => |d| d.factors::<f64>(|a, b| {
            let shape = [a.shape().first().copied().unwrap_or(1), b.shape().last().copied().unwrap_or(1)];
            Tensor::full(shape.map(|n| n.min(5)), 1.0).addmm_into(a, b)
        });
        "addmm" => |d| d.tensor::<f32>().addmm_into(&d.tensor(), &d.tensor());
        "linear" => |d| d.factors::<f32>(|a, b| {
            let w = if b.rank() == 2 { b.t() } else { b.clone() };
            let bias = Tensor::full([w.shape().first().copied().unwrap_or(1)], 1.0);
            a.linear(&w, Some(&bias))
        });
        "linear" => |d| d.factors::<f32>(|a, b| a.linear(b, None));
        "dense" => |d| dense_shape("dense", &d.sizes(), &d.sizes(), Some(&d.sizes()));
        "linear_relu" => |d| d.tensor::<f32>().linear_relu(&d.tensor(), Some(&d.tensor()));
        "dot" => |d| { let x = d.tensor::<f32>(); x.dot(&d.beside(x.shape())) };
        "dot" => |d| d.vector().dot(&d.vector());
        "outer" => |d| d.vector().outer(&d.vector());
        "tril" => |d| d.tensor::<f32>().tril(d.signed());
        "triu" => |d| d.tensor::<i64>().triu(d.signed());
    }
}

pub fn systems() -> Vec<Case> {
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

pub fn sums_of_products() -> Vec<Case> {
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
        "einsum" => |d| { let x = d.tensor::<f32>(); let y = d.beside(x.shape()); Tensor::einsum(d.of(&SPECS), &[&x, &y]) };
        "einsum" => |d| { let x = d.tensor::<f32>(); Tensor::einsum(d.of(&SPECS), &[&x]) };
        "einsum" => |d| { let (x, y) = (d.vector(), d.vector()); Tensor::einsum("i,j->ij", &[&x, &y]) };
        "einsum" => |d| { let (x, y) = (d.vector(), d.vector()); Tensor::einsum("i,j,i,j->", &[&x, &y, &x, &y]) };
        "einsum" => |d| d.factors::<f32>(|a, b| Tensor::einsum("ij,jk", &[a, b]));
        "einsum" => |d| Tensor::<f32>::einsum(d.of(&SPECS), &[]);
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

pub fn convolutions() -> Vec<Case> {
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

pub fn pools() -> Vec<Case> {
    cases! {
        "max_pool2d" => |d| { let (x, o) = d.pool(); x.max_pool2d(o) };
        "max_pool2d" => |d| { let (_, o) = d.pool(); d.tensor::<f32>().max_pool2d(o) };
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

pub fn sequences() -> Vec<Case> {
    cases! {
        "cell" => |d| d.sequence(1).map(|_| ());
        "cell" => |d| FusedSequence::<f32>::new("cell", &d.tensor(), &d.tensor(), None, d.number()).map(|_| ());
        "cell" => |d| { let gates = d.gates(1); d.sequence(gates).and_then(|(s, h)| s.rnn(&d.beside(&h), d.once_in(2))) };
        "cell" => |d| { let gates = d.gates(4); d.sequence(gates).and_then(|(s, h)| s.lstm(&d.beside(&h), &d.beside(&h))) };
        "cell" => |d| { let gates = d.gates(3); d.sequence(gates).and_then(|(s, h)| s.gru(&d.beside(&[3 * h[1]]), &d.beside(&h))) };
        "cell" => |d| d.sequence(1).and_then(|(s, h)| {
            let states = s.rnn(&d.tensor_of(&h), false)?;
            let gy = states.slice(0, 1..);
            Ok(s.rnn_grad(&states, &d.either(&gy), false))
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

pub fn losses() -> Vec<Case> {
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
pub fn norms() -> Vec<Case> {
    cases! {
        "largest_size" => |d| d.tensor::<f32>().largest_size();
        "norm" or "square" or "sum" => |d| d.tensor::<f32>().norm(d.axes());
        "norm" or "square" or "sum" => |d| d.tensor::<f64>().norm_keep(d.axes());
        "std" or "mean" or "sub" => |d| d.tensor::<f32>().std(d.axes(), d.number());
        "std" or "mean" or "sub" => |d| d.tensor::<f64>().std_keep(d.axes(), d.number());
    }
}

pub fn taps() -> Vec<Case> {
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
