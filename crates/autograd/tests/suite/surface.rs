//! `Tensor` and `Var` have one table of methods: the same names, arguments and values.
//!
//! Each line is one call, which is compiled for both. An op of the list that no line records needs a reason in `REASONS`.

use gradus_autograd::samples::op_samples;
use gradus_autograd::{Var, recorded_ops};
use gradus_tensor::{Conv2dOptions, LinalgError, Normalization, Over, Pool2dOptions, Rng, Taps, Tensor};
use std::collections::BTreeSet;

/// Ops of variables that are no methods of tensors.
const REASONS: [(&str, &str); 13] = [
    ("mul_no_nan", "the product of a slope and a gradient"),
    ("straight_through", "it has a gradient of its own and no value of its own"),
    ("dropout", "a layer's noise in training"),
    ("masked_softmax", "a tensor's elements are hidden by masked_fill; here hidden ones have no gradient"),
    ("masked_matmul", "as masked_softmax"),
    ("sampled_matmul", "as masked_softmax"),
    ("rnn_sequence", "a tensor's form is FusedSequence, which keeps what its gradient reads"),
    ("lstm_sequence", "as rnn_sequence"),
    ("gru_sequence", "as rnn_sequence"),
    ("ctc", "a loss"),
    ("input", "a place where a derivative is taken"),
    ("checkpoint", "it saves the memory of a backward pass"),
    ("fixed_point", "it has a gradient of its own"),
];

/// What a call gives, as tensors.
trait Given {
    fn tensors(self) -> Vec<Tensor<f64>>;
}

impl Given for Tensor<f64> {
    fn tensors(self) -> Vec<Tensor<f64>> {
        vec![self]
    }
}

impl Given for Var<f64> {
    fn tensors(self) -> Vec<Tensor<f64>> {
        vec![self.into_value()]
    }
}

impl Given for Tensor<i64> {
    fn tensors(self) -> Vec<Tensor<f64>> {
        vec![self.cast()]
    }
}

impl Given for Tensor<i32> {
    fn tensors(self) -> Vec<Tensor<f64>> {
        vec![self.cast()]
    }
}

impl Given for usize {
    fn tensors(self) -> Vec<Tensor<f64>> {
        vec![Tensor::scalar(self as f64)]
    }
}

impl<A: Given, B: Given> Given for (A, B) {
    fn tensors(self) -> Vec<Tensor<f64>> {
        [self.0.tensors(), self.1.tensors()].concat()
    }
}

impl<A: Given> Given for Vec<A> {
    fn tensors(self) -> Vec<Tensor<f64>> {
        self.into_iter().flat_map(Given::tensors).collect()
    }
}

impl<A: Given> Given for Result<A, LinalgError> {
    fn tensors(self) -> Vec<Tensor<f64>> {
        self.expect("a matrix that has an inverse").tensors()
    }
}

/// One call on operands of these shapes.
struct Call {
    name: &'static str,
    shapes: Vec<Vec<usize>>,
    of_tensors: fn(&[Tensor<f64>]) -> Vec<Tensor<f64>>,
    of_vars: fn(&[Var<f64>]) -> Vec<Tensor<f64>>,
}

/// `name |operand [shape], ..| call;` In the call, `X` is the type.
macro_rules! calls {
    ($($name:ident |$($x:ident $shape:tt),+| $call:expr;)*) => {
        vec![$(Call {
            name: stringify!($name),
            shapes: vec![$($shape.to_vec()),+],
            of_tensors: |operands| {
                #[allow(dead_code)] // few of the calls name the type
                type X = Tensor<f64>;
                let [$($x),+] = operands else { unreachable!("as many operands as shapes") };
                Given::tensors($call)
            },
            of_vars: |operands| {
                #[allow(dead_code)] // few of the calls name the type
                type X = Var<f64>;
                let [$($x),+] = operands else { unreachable!("as many operands as shapes") };
                Given::tensors($call)
            },
        }),*]
    };
}

/// Methods of one operand.
macro_rules! functions {
    ($($name:ident $args:tt)*) => {
        calls! { $($name |x [2, 3]| x.$name $args;)* }
    };
}

fn elementwise() -> Vec<Call> {
    let mut all = functions! {
        abs() square() recip() sqrt() exp() exp_m1() exp2() ln() ln_1p() log2() log10() sin() cos() tan() asin() acos() atan()
        sinh() cosh() tanh() erf() sign() floor() ceil() round() trunc() powf(2.5) powf(2.0) powf(-3.0) clamp(0.3, 0.6)
        sigmoid() relu() relu6() leaky_relu(0.1) elu(1.3) gelu() gelu_tanh() silu() softplus() selu() celu(1.3) mish() softsign()
        log_sigmoid() hardtanh(-0.2, 0.4) hardsigmoid() hardswish() tanhshrink() threshold(0.5, -2.0) softshrink(0.4)
        hardshrink(0.4)
    };
    all.extend(calls! {
        neg |x [2, 3]| -x;
        add |x [2, 3], y [3]| x + y;
        sub |x [2, 3], y [2, 1]| x - y;
        mul |x [3], y [2, 3]| x * y;
        div |x [2, 3], y []| x / y;
        add_scalar |x [2, 3]| x + 1.5;
        add_scalar |x [2, 3]| 2 + x - 1;
        scalar_sub |x [2, 3]| 1.5 - x;
        mul_scalar |x [2, 3]| -2.5 * x;
        mul_scalar |x [2, 3]| 2.5 / x;
        div_scalar |x [2, 3]| x / 2.5;
        pow |x [2, 3], y [3]| x.pow(y);
        atan2 |x [2, 3], y [3]| x.atan2(y);
        maximum |x [2, 3], y [3]| x.maximum(y);
        minimum |x [2, 3], y [3]| x.minimum(y);
        masked_fill |x [2, 3]| x.masked_fill(&Tensor::from([true, false, true]), f64::NEG_INFINITY);
        masked_fill |x [2, 3]| x.masked_fill(&Tensor::from([true, false, true]), 2);
        where_ |x [2, 3], y [3]| x.where_(&Tensor::from([[true], [false]]), y);
    });
    all
}

fn reductions() -> Vec<Call> {
    calls! {
        sum |x [2, 3, 4]| x.sum(..);
        sum_keep |x [2, 3, 4]| x.sum_keep([0, -1]);
        mean |x [2, 3, 4]| x.mean(1);
        mean_keep |x [2, 3, 4]| x.mean_keep([1, 2]);
        var |x [2, 3, 4]| x.var([0, 1], 1);
        var_keep |x [2, 3, 4]| x.var_keep(.., 0);
        std |x [2, 3, 4]| x.std(-1, 1);
        std_keep |x [2, 3, 4]| x.std_keep([0, 2], 0);
        norm |x [2, 3, 4]| x.norm(..);
        norm_keep |x [2, 3, 4]| x.norm_keep(1);
        max |x [2, 3, 4]| x.max([0, 1]);
        max_keep |x [2, 3, 4]| x.max_keep(-1);
        min |x [2, 3, 4]| x.min(..);
        min_keep |x [2, 3, 4]| x.min_keep([0, 1]);
        prod |x [2, 3, 4]| x.prod([0, 2]);
        prod_keep |x [2, 3, 4]| x.prod_keep(1);
        logsumexp |x [2, 3, 4]| x.logsumexp([0, 2]);
        logsumexp_keep |x [2, 3, 4]| x.logsumexp_keep(..);
        softmax |x [2, 3, 4]| x.softmax(1);
        log_softmax |x [2, 3, 4]| x.log_softmax(-1);
        cumsum |x [2, 3, 4]| x.cumsum(1);
        sum_to |x [2, 3, 4]| x.sum_to([3, 1]);
        weighted_sums |x [2, 3]| x.weighted_sums(1, &Taps::new(3, [vec![(0, 0.5), (2, 1.5)], vec![(1, 2.0)]]));
    }
}

fn views() -> Vec<Call> {
    calls! {
        reshape |x [2, 3, 4]| x.reshape([4, -1]);
        flatten |x [2, 3, 4]| x.flatten(0);
        flatten |x [2, 3, 4]| x.flatten(-2);
        flatten |x []| x.flatten(0);
        permute |x [2, 3, 4]| x.permute([1, -1, 0]);
        transpose |x [2, 3, 4]| x.transpose(0, -1);
        t |x [2, 3, 4]| x.t();
        expand |x [3, 1]| x.expand([2, 3, 4]);
        squeeze |x [1, 3, 1]| x.squeeze(..);
        squeeze |x [1, 3, 1]| x.squeeze(-1);
        unsqueeze |x [2, 3]| x.unsqueeze(-1);
        flip |x [2, 3, 4]| x.flip([0, 2]);
        slice |x [5, 3]| x.slice(0, 1..4);
        slice_step |x [5, 3]| x.slice_step(0, 1.., -2);
        pad_step |x [2, 3]| x.pad_step(0, 5, 4, -3);
        select |x [5, 3]| x.select(-1, 2);
        diagonal |x [2, 3, 4]| x.diagonal(1);
        diagonal_embed |x [2, 3]| x.diagonal_embed(-1, 4, 5);
        tril |x [2, 3, 4]| x.tril(0);
        triu |x [2, 3, 4]| x.triu(-1);
        concat |x [2, 3], y [2, 1]| X::concat(&[x, y, x], -1);
        stack |x [2, 3], y [2, 3]| X::stack(&[x, y], 1);
        split |x [5, 3]| x.split(2, 0);
        chunk |x [5, 3]| x.chunk(3, 0);
        split_sizes |x [5, 3]| x.split_sizes(&[4, 1], 0);
        pad |x [2, 3]| x.pad(&[[1, 0], [0, 2]], 0.5);
        pad |x [2, 3]| x.pad(&[[1, 0], [0, 2]], 3);
        repeat |x [2, 3]| x.repeat(&[2, 1]);
        roll |x [2, 3]| x.roll(-1, 1);
        shape |x [2, 3]| x.shape().to_vec();
        rank |x [2, 3]| x.rank();
        numel |x [2, 3]| x.numel();
        size |x [2, 3]| x.size(-1);
        item |x [1, 1]| Tensor::scalar(x.item());
    }
}

fn picks() -> Vec<Call> {
    calls! {
        gather |x [2, 3]| x.gather(1, &Tensor::from([[2i64, 0], [1, 1]]));
        scatter_add |x [2, 3], y [2, 2]| x.scatter_add(1, &Tensor::from([[2i64, 2], [0, 1]]), y);
        index_select |x [2, 3]| x.index_select(-1, &Tensor::from([2i64, 2, 0]));
        index_add |x [2, 3], y [3, 3]| x.index_add(0, &Tensor::from([1i64, 1, 0]), y);
        sort |x [2, 3]| x.sort(-1, true);
        topk |x [2, 3]| x.topk(2, 1);
    }
}

fn products() -> Vec<Call> {
    calls! {
        matmul |x [2, 3, 4], y [4, 2]| x.matmul(y);
        matmul |x [4], y [2, 4, 3]| x.matmul(y);
        linear |x [2, 3, 4], w [5, 4], b [5]| x.linear(w, Some(b));
        linear |x [4], w [5, 4]| x.linear(w, None);
        linear_relu |x [2, 4], w [5, 4], b [5]| (x - 0.5).linear_relu(&(w - 0.5), Some(b));
        linear_relu |x [4], w [5, 4]| (x - 0.5).linear_relu(w, None);
        normalize |x [3, 2, 4], w [2], b [2]| x.normalize(&Normalization::over(Over::Batch), Some(w), Some(b)).0;
        normalize |x [3, 4], w [4]| x.normalize(&Normalization::over(Over::Last(1)).root_mean_square(), Some(w), None).0;
        normalize_by |x [3, 2, 4], m [2], v [2], w [2], b [2]| x.normalize_by([m, v], 0.1, Some(w), Some(b));
        normalize_by |x [3, 2], m [2], v [2]| x.normalize_by([m, v], 0.1, None, None);
        dot |x [4], y [4]| x.dot(y);
        outer |x [4], y [3]| x.outer(y);
        einsum |x [2, 3, 3], y [3, 4]| X::einsum("bii,ij->jb", &[x, y]);
        solve |x [3, 3], y [3, 2]| (x + x.t() + 1.0).solve(y);
        conv2d |x [2, 2, 5, 4], w [3, 2, 3, 2]| x.conv2d(w, conv());
        conv2d_relu |x [2, 2, 5, 4], w [3, 2, 3, 2], b [3]| (x - 0.5).conv2d_relu(w, Some(b), conv());
        conv2d_input_grad |g [2, 3, 2, 5], w [3, 2, 3, 2]| g.conv2d_input_grad(w, [2, 2, 5, 4], conv());
        conv2d_weight_grad |x [2, 2, 5, 4], g [2, 3, 2, 5]| x.conv2d_weight_grad(g, [3, 2, 3, 2], conv());
        max_pool2d |x [2, 2, 4, 5]| x.max_pool2d(Pool2dOptions::new(2));
        max_pool2d |x [2, 2, 4, 5]| x.max_pool2d_with_indices(Pool2dOptions::new(2));
        pool_gather |x [1, 1, 2, 3]| x.pool_gather(&Tensor::from([[[[5i32, 0]]]]));
        pool_scatter |x [1, 1, 1, 2]| x.pool_scatter(&Tensor::from([[[[5i32, 0]]]]), [1, 1, 2, 3]);
        avg_pool2d |x [2, 2, 4, 5]| x.avg_pool2d(Pool2dOptions::new(2));
        avg_pool2d_grad |x [2, 2, 2, 2]| x.avg_pool2d_grad([2, 2, 4, 5], Pool2dOptions::new(2));
        gru_gates |x [2, 6], y [2, 6], h [2, 2]| x.gru_gates(y, h);
    }
}

fn conv() -> Conv2dOptions {
    Conv2dOptions::default().stride([2, 1]).padding([[0, 1], [1, 1]])
}

fn calls() -> Vec<Call> {
    [elementwise(), reductions(), views(), picks(), products()].into_iter().flatten().collect()
}

impl Call {
    fn operands(&self, seed: u64) -> Vec<Tensor<f64>> {
        let mut rng = Rng::seed(seed);
        self.shapes.iter().map(|shape| Tensor::uniform(&shape[..], 0.2, 0.9, &mut rng)).collect()
    }
}

#[test]
fn tensors_and_variables_give_the_same() {
    for (call, seed) in calls().iter().flat_map(|call| (0..4).map(move |seed| (call, seed))) {
        let operands = call.operands(seed);
        let of_tensors = (call.of_tensors)(&operands);
        let of_vars = (call.of_vars)(&operands.into_iter().map(Var::leaf).collect::<Vec<_>>());
        assert_eq!(of_tensors.len(), of_vars.len(), "{}", call.name);
        for (t, v) in of_tensors.iter().zip(&of_vars) {
            assert_eq!(t.shape(), v.shape(), "{}", call.name);
            let near = |(t, v): (f64, f64)| t == v || (t - v).abs() <= 1e-14 * t.abs().max(1.0);
            assert!(t.to_vec().into_iter().zip(v.to_vec()).all(near), "{}: {t:?} and {v:?}", call.name);
        }
    }
}

#[test]
fn every_op_is_called_or_has_a_reason() {
    let mut called = BTreeSet::new();
    for call in calls() {
        let operands: Vec<_> = call.operands(0).into_iter().map(Var::leaf).collect();
        let (_, ops) = recorded_ops::<f64, _>(|| (call.of_vars)(&operands));
        // A keyword's name has an underscore behind it as a method.
        let own = call.name.trim_end_matches('_');
        called.extend(ops.iter().filter_map(Var::op_name).filter(|name| *name == own));
    }
    let listed: BTreeSet<_> = op_samples::<f64>().iter().map(|sample| sample.name).collect();
    for name in &listed {
        let reason = REASONS.iter().any(|(op, _)| op == name);
        assert!(
            called.contains(name) != reason,
            "`{name}`: expected a line of its name that records it, or a reason, and not both"
        );
    }
    for (op, _) in REASONS {
        assert!(listed.contains(op), "a reason for `{op}`, which is not on the list of ops");
    }
}
