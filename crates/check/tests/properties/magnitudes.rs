//! `f32` against `f64` from 1e-44 to 3e38: values, first and second derivatives of elementwise functions, pairs, norms, losses
//! and normalisation layers.

use crate::common::{op_samples, values};
use gradus_autograd::samples::Case;
use gradus_autograd::{GradMode, Var, grad_with};
use gradus_nn::{
    BceWithLogits, GroupNorm, Huber, InstanceNorm1d, KlDivergence, L1, Layer, LayerNorm, Loss, Mode, Mse, Reduction, RmsNorm,
    SmoothL1,
};
use gradus_tensor::{Float, Rng, Tensor};

/// How far `f32` may be off, of the result: the sum of some roundings, and of one in an exponent of up to 100.
const RELATIVE: f64 = 3e-5;
/// And of results that are denormal or nearly so.
const SMALLEST: f64 = 1e-37;

/// Second derivatives larger than this may overflow on the way.
const NEARLY_LOST: f64 = 1e35;

/// Where `f32` is further off than that. `docs/derivatives.md` shows this table.
struct Exception {
    names: &'static str,
    orders: &'static [usize],
    /// So many roundings of 1, or of the operand where that is larger.
    roundings: f64,
    /// This, beside that.
    absolute: f64,
    /// And so much of the exact result.
    relative: f64,
    /// Operands with which anything may come out that is no finite number.
    lost: fn(&[f64]) -> bool,
}

const NEVER: fn(&[f64]) -> bool = |_| false;

const EXCEPTIONS: [Exception; 10] = [
    // The slope is read from an output that has come near to its limit.
    Exception { names: "tanh sigmoid", orders: &[1, 2], roundings: 2.0, absolute: 0.0, relative: 0.0, lost: NEVER },
    // The second derivative is read from such an output.
    Exception {
        names: "softplus log_sigmoid silu mish gelu_tanh tanhshrink bce_with_logits",
        orders: &[2],
        roundings: 4.0,
        absolute: 0.0,
        relative: 0.0,
        lost: NEVER,
    },
    // 1 + erf cancels below -3, as in PyTorch.
    Exception { names: "gelu", orders: &[0, 1], roundings: 1.0, absolute: 0.0, relative: 0.0, lost: NEVER },
    // Two terms of about 1 cancel where the slope is 0.
    Exception { names: "gelu_tanh silu mish gelu", orders: &[1, 2], roundings: 2.0, absolute: 0.0, relative: 0.0, lost: NEVER },
    // The same, times the slope of a cube.
    Exception { names: "gelu_tanh", orders: &[2], roundings: 20.0, absolute: 0.0, relative: 0.0, lost: NEVER },
    // A product on the way is denormal, for operands of 1e10 and more.
    Exception { names: "atan", orders: &[2], roundings: 0.0, absolute: 1e-34, relative: 0.0, lost: NEVER },
    // 1 + b ln a cancels.
    Exception { names: "pow", orders: &[2], roundings: 0.0, absolute: 0.0, relative: 0.0, lost: |x| x[0] < 1e-18 },
    // 1 / x² overflows; and a² - b² cancels.
    Exception {
        names: "atan2",
        orders: &[2],
        roundings: 0.0,
        absolute: 0.0,
        relative: 0.0,
        lost: |x| x[0].abs().max(x[1].abs()) < 1e-18 || (x[0].abs() - x[1].abs()).abs() < 1e-3 * x[0].abs(),
    },
    // A norm that is denormal has few bits, and 1 / x overflows.
    Exception {
        names: "norm x/norm norm² std LayerNorm RmsNorm",
        orders: &[0, 1, 2],
        roundings: 0.0,
        absolute: 0.0,
        relative: 0.0,
        lost: |x| x[0].abs() < 2e-38,
    },
    // Terms of 1 / σ² cancel, and the cube of 1 / σ on the way overflows or is denormal.
    Exception {
        names: "LayerNorm GroupNorm InstanceNorm RmsNorm",
        orders: &[2],
        roundings: 0.0,
        absolute: 0.0,
        relative: 2e-4,
        lost: |x| !(1e-12..1e12).contains(&x[0].abs()),
    },
];

type Function<T> = Box<dyn Fn(&[Var<T>]) -> Var<T>>;

/// A function with the operands that it is called on.
struct Subject<T: Float> {
    name: &'static str,
    f: Function<T>,
    operands: Vec<Tensor<f32>>,
}

/// Sizes of each decade that `f32` holds, and a random one of each.
fn sizes(step: usize) -> Vec<f32> {
    let mut rng = Rng::seed(44);
    let decades = (-44..=38).step_by(step);
    let all = decades.flat_map(|e| [10f64.powi(e), 10f64.powf(f64::from(e) + rng.uniform())]);
    all.map(|v| v as f32).filter(|v| v.is_finite() && *v > 0.0).chain([f32::MIN_POSITIVE, f32::MAX]).collect()
}

fn both_signs(sizes: &[f32]) -> Vec<f32> {
    sizes.iter().flat_map(|&v| [v, -v]).collect()
}

fn of_one<T: Float>() -> Vec<Subject<T>> {
    // Between the decades too, where exponentials are neither 1 nor at their limits.
    let fine = (-480..=480).map(|i| i as f32 / 4.0);
    let points: Vec<f32> = both_signs(&sizes(1)).into_iter().chain(fine).collect();
    let samples = op_samples::<T>().into_iter().map(|s| (s.name, (s.case)(&mut Rng::seed(0))));
    let elementwise = samples.filter(|(_, case)| case.dual.is_some());
    elementwise.map(|(name, case)| Subject { name, f: case.apply, operands: vec![Tensor::from(points.clone())] }).collect()
}

fn of_two<T: Float>() -> Vec<Subject<T>> {
    let points = both_signs(&sizes(3));
    let (a, b): (Vec<f32>, Vec<f32>) = points.iter().flat_map(|&a| points.iter().map(move |&b| (a, b))).unzip();
    let mut subjects: Vec<Subject<T>> = Vec::new();
    for sample in op_samples::<T>() {
        let Case { inputs, apply: f, .. } = (sample.case)(&mut Rng::seed(0));
        if sample.elementwise && inputs.len() == 2 && subjects.iter().all(|s| s.name != sample.name) {
            let (mut a, b) = (Tensor::from(a.clone()), Tensor::from(b.clone()));
            if sample.name == "pow" {
                a = a.abs();
            }
            subjects.push(Subject { name: sample.name, f, operands: vec![a, b] });
        }
    }
    subjects
}

/// Vectors that are `of` times each size, a row each.
fn rows(of: &[f32]) -> Tensor<f32> {
    let sizes: Vec<f32> = sizes(1).into_iter().filter(|s| s * 8.0 < f32::MAX).collect();
    let rows = sizes.iter().flat_map(|s| of.iter().map(move |v| v * s)).collect();
    Tensor::from_vec(rows, [sizes.len(), of.len()])
}

fn of_rows<T: Float>() -> Vec<Subject<T>> {
    type Norm<T> = (&'static str, fn(&Var<T>) -> Var<T>);
    let norms: [Norm<T>; 5] = [
        ("norm", |x| x.norm(1)),
        ("x/norm", |x| x / x.norm_keep(1)),
        ("norm²", |x| x.norm(1).square()),
        ("std", |x| x.std(1, 1)),
        ("var", |x| x.var(1, 0)),
    ];
    let mut subjects: Vec<Subject<T>> = Vec::new();
    for (name, f) in norms {
        subjects.push(Subject { name, f: Box::new(move |v| f(&v[0])), operands: vec![rows(&[3.0, -4.0, 1.5])] });
    }
    subjects
}

fn losses<T: Float>() -> Vec<Subject<T>> {
    let points: Vec<f32> = both_signs(&sizes(1)).into_iter().chain((-480..=480).map(|i| i as f32 / 4.0)).collect();
    let mut subjects: Vec<Subject<T>> = Vec::new();
    let n = points.len();
    type Pair<T> = Box<dyn Fn(&Var<T>, &Tensor<T>) -> Var<T>>;
    let mut add = |name, loss: Pair<T>, target: f64| {
        let target = Tensor::full([n], T::lit(target));
        let f = Box::new(move |v: &[Var<T>]| loss(&v[0], &target));
        subjects.push(Subject { name, f, operands: vec![Tensor::from(points.clone())] });
    };
    for target in [0.0, 0.3, 1.0] {
        add("mse", Box::new(|x, t| Mse::new().reduction(Reduction::None).loss(x, t)), target);
        add("l1", Box::new(|x, t| L1::new().reduction(Reduction::None).loss(x, t)), target);
        add("huber", Box::new(|x, t| Huber::new(1.5).reduction(Reduction::None).loss(x, t)), target);
        add("smooth_l1", Box::new(|x, t| SmoothL1::new(1e-3).reduction(Reduction::None).loss(x, t)), target);
        add("kl_divergence", Box::new(|x, t| KlDivergence::new().reduction(Reduction::None).loss(x, t)), target);
        let bce = || BceWithLogits::new().reduction(Reduction::None);
        add("bce_with_logits", Box::new(move |x, t| bce().loss(x, t)), target);
        add("bce_with_logits", Box::new(move |x, t| bce().pos_weight(Tensor::scalar(3.0)).loss(x, t)), target);
    }
    subjects
}

/// Normalisation layers on samples of one size.
fn normalised<T: Float>() -> Vec<Subject<T>> {
    let mut subjects: Vec<Subject<T>> = Vec::new();
    for size in sizes(1) {
        if size * 8.0 > f32::MAX {
            continue;
        }
        let x = Tensor::from([3.0f32, -4.0, 1.5, 0.25, -1.0, 2.0]) * f64::from(size);
        let mut add = |name, layer: Box<dyn Layer<T>>, shape: &[usize]| {
            let f = Box::new(move |v: &[Var<T>]| layer.forward(&v[0], &mut Mode::Train(&mut Rng::seed(0))));
            subjects.push(Subject { name, f, operands: vec![x.reshape(shape)] });
        };
        add("LayerNorm", Box::new(LayerNorm::new([3])), &[2, 3]);
        add("LayerNorm", Box::new(LayerNorm::new([3]).eps(0.0)), &[2, 3]);
        add("GroupNorm", Box::new(GroupNorm::new(1, 3)), &[2, 3]);
        add("InstanceNorm", Box::new(InstanceNorm1d::new(1)), &[2, 1, 3]);
        add("RmsNorm", Box::new(RmsNorm::new([3]).eps(1e-5)), &[2, 3]);
        add("RmsNorm", Box::new(RmsNorm::new([3]).eps(0.0)), &[2, 3]);
    }
    subjects
}

/// Of order 0, 1 and 2: the value, its derivatives by each operand, and theirs by each. Cotangents differ from place to place,
/// so that no sum is 0.
fn derivatives<T: Float>(subject: &Subject<T>) -> Vec<(usize, Vec<f64>)> {
    let xs: Vec<Var<T>> = subject.operands.iter().map(|x| Var::leaf(x.cast())).collect();
    let wrt: Vec<&Var<T>> = xs.iter().collect();
    let y = (subject.f)(&xs);
    let mut all = vec![(0, values(y.value()))];
    let cotangent = |y: &Var<T>| {
        let last = y.shape().last().copied().unwrap_or(1);
        let weights = (0..y.shape().numel()).map(|i| T::lit(if y.rank() > 1 { [1.0, 0.5, 0.75][i % last % 3] } else { 1.0 }));
        Var::constant(Tensor::from_vec(weights.collect(), y.shape().clone()))
    };
    let Ok(first) = grad_with(&y, &cotangent(&y), &wrt, GradMode::Differentiable) else { return all };
    for g in first {
        all.push((1, values(g.value())));
        for x in &xs {
            if let Ok(second) = grad_with(&g, &cotangent(&g), &[x], GradMode::Plain) {
                all.push((2, values(second[0].value())));
            }
        }
    }
    all
}

/// Whether `found` is `exact` as far as `f32` goes, at these operands.
fn agrees(name: &str, order: usize, at: &[f64], found: f64, exact: f64) -> bool {
    let largest = f64::from(f32::MAX);
    if order == 2 && exact.abs() > NEARLY_LOST && !found.is_finite() {
        return true;
    }
    let mut allowed = RELATIVE * exact.abs() + SMALLEST;
    for e in EXCEPTIONS.iter().filter(|e| e.orders.contains(&order) && e.names.split(' ').any(|n| n == name)) {
        if (e.lost)(at) {
            return true;
        }
        let size = at.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        allowed += e.roundings * f64::from(f32::EPSILON) * size + e.absolute + e.relative * exact.abs();
    }
    if exact.is_nan() || found.is_nan() {
        // Of vectors, infinities may have met.
        return found.is_nan() && (exact.is_nan() || (exact.abs() > largest && at.len() > 2));
    }
    if exact.abs() > largest * (1.0 - RELATIVE) {
        return (found.signum() == exact.signum() || at.len() > 2) && found.abs() >= largest * (1.0 - 2.0 * RELATIVE);
    }
    (found - exact).abs() <= allowed
}

/// The operands of element `i` of a result of `n`: an element each, or a row.
fn operands(subject: &Subject<f32>, i: usize, n: usize) -> Vec<f64> {
    let of = |x: &Tensor<f32>| {
        let (v, row) = (x.to_vec(), if x.rank() > 1 { x.numel() / x.shape()[0] } else { 1 });
        let first = i * v.len() / n / row * row;
        v[first..first + row].iter().map(|&v| f64::from(v)).collect::<Vec<_>>()
    };
    subject.operands.iter().flat_map(of).collect()
}

fn f32_agrees_with_f64(single: Vec<Subject<f32>>, double: Vec<Subject<f64>>) {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for (single, double) in single.iter().zip(&double) {
        let (found, exact) = (derivatives(single), derivatives(double));
        assert_eq!(found.len(), exact.len(), "`{}`", single.name);
        for ((order, found), (_, exact)) in found.iter().zip(&exact) {
            let n = found.len();
            compared += n;
            let off = (0..n).filter(|&i| !agrees(single.name, *order, &operands(single, i, n), found[i], exact[i]));
            let off: Vec<usize> = off.collect();
            let (Some(&i), Some(&k)) = (off.first(), off.last()) else { continue };
            let what = |i: usize| format!("at {:?} it is {:e}, not {:e}", operands(single, i, n), found[i], exact[i]);
            wrong.push(format!("`{}`, order {order}, {} of {n}: {}; {}", single.name, off.len(), what(i), what(k)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 1000, "{compared} numbers compared");
}

#[test]
fn functions_of_one_number() {
    f32_agrees_with_f64(of_one(), of_one());
}

#[test]
fn functions_of_two_numbers() {
    f32_agrees_with_f64(of_two(), of_two());
}

#[test]
fn norms_and_deviations() {
    f32_agrees_with_f64(of_rows(), of_rows());
}

#[test]
fn of_losses() {
    f32_agrees_with_f64(losses(), losses());
}

#[test]
fn normalisation_layers() {
    f32_agrees_with_f64(normalised(), normalised());
}
