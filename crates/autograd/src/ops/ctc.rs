//! Connectionist temporal classification: the likelihood of a short sequence of labels under a longer one of steps, with where
//! each label stands unknown (Graves et al. 2006).

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::ops::unfolded::unfolded_gradients;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, Rng, ShapeError, Tensor};

/// One sequence: which steps it has, and its labels with a blank before, between and after them (`l'` of the paper).
#[derive(Debug)]
struct Row {
    index: usize,
    steps: Vec<usize>,
    states: Vec<usize>,
}

impl Row {
    fn new(index: usize, steps: Vec<usize>, target: &[usize], classes: usize, blank: usize) -> Result<Self, ShapeError> {
        let error = |detail| Err(ShapeError::new("ctc", detail));
        if let Some(label) = target.iter().find(|&&l| l >= classes || l == blank) {
            let wanted = format!("classes 0 to {}, not the blank {blank}", classes - 1);
            return error(format!("label {label} in target {index}; wanted {wanted}"));
        }
        let least = (target.len() + target.windows(2).filter(|w| w[0] == w[1]).count()).max(1);
        if steps.len() < least {
            let (labels, there) = (target.len(), steps.len());
            return error(format!("target {index} of {labels} labels takes {least} steps or more; its input has {there}"));
        }
        let states = target.iter().flat_map(|&l| [blank, l]).chain([blank]).collect();
        Ok(Self { index, steps, states })
    }

    /// Whether a path may go from state `s - 2` to `s`: over a blank, from one label to another.
    fn skips(&self, s: usize) -> bool {
        s >= 2 && s % 2 == 1 && self.states[s] != self.states[s - 2]
    }
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// `-ln Σ Π p(t, path(t))` over all paths that become the target when repeats are merged and blanks then left out: `[N]`
    /// from the logarithms of the classes' probabilities, `[T, N, C]`, and `N` targets of any length. Only steps where the mask
    /// `[T, N]` is true are there.
    ///
    /// By forward and backward sums over the states of each sequence (Graves et al. 2006, equations 6, 7, 10 and 14), in
    /// double precision.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// // Two steps, of which each is blank (0) or 1 with probability 1/2: of four paths three say 1.
    /// let log_p = Var::<f64>::constant(Tensor::full([2, 1, 2], 0.5f64.ln()));
    /// assert!((log_p.ctc(&[vec![1]], None, 0).item() + 0.75f64.ln()).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// When the shapes do not fit, a label is no class or the blank, or a target cannot be said in the steps there are: it takes a
    /// step for each label, and one between equal neighbours.
    #[track_caller]
    pub fn ctc(&self, targets: &[Vec<usize>], mask: Option<&Tensor<bool>>, blank: usize) -> Var<T> {
        apply(Ctc { targets: targets.to_vec(), mask: mask.cloned(), blank }, &[self])
    }
}

pub(crate) struct Ctc {
    targets: Vec<Vec<usize>>,
    mask: Option<Tensor<bool>>,
    blank: usize,
}

impl<T: Float> Op<T> for Ctc {
    fn name(&self) -> &'static str {
        "ctc"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new()
            .with("targets", format!("{:?}", self.targets))
            .with_some("mask", self.mask.as_ref())
            .with("blank", self.blank)
    }

    fn kind(&self) -> OpKind {
        OpKind::Loss
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let log_p = cx.input(0).contiguous();
        let rows = rows(log_p.shape(), &self.targets, self.mask.as_ref(), self.blank).or_panic();
        let loss = |row: &Row| {
            let (table, offset) = table(&log_p, row);
            T::lit(-(offset + forward(&table, row).1))
        };
        let losses = rows.iter().map(loss).collect();
        let y = Tensor::from_vec(losses, [rows.len()]);
        cx.save(rows);
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let rows = cx.residuals::<Vec<Row>>();
        if cx.is_differentiable() {
            return unfolded_gradients(cx, |v| unfold(&v[0], rows));
        }
        let log_p = cx.input(0).value().contiguous();
        let mut gx = Tensor::zeros(log_p.shape().clone());
        for (row, g) in rows.iter().zip(cx.gy().value().to_vec()) {
            add_gradient(&log_p, row, g.to_f64(), &mut gx);
        }
        Var::constant(gx).into()
    }
}

/// An error unless [`Var::ctc`] takes these targets for log-probabilities of shape `[T, N, C]`: a label that is no class or the
/// blank, or a target that takes more steps than there are.
///
/// ```
/// use gradus_autograd::check_ctc;
/// assert!(check_ctc(&[3, 1, 4], &[vec![1, 1]], None, 0).is_ok());
/// let error = check_ctc(&[2, 1, 4], &[vec![1, 1]], None, 0).unwrap_err();
/// assert!(error.to_string().contains("target 0 of 2 labels takes 3 steps or more; its input has 2"));
/// ```
///
/// # Errors
/// When it does not.
pub fn check_ctc(shape: &[usize], targets: &[Vec<usize>], mask: Option<&Tensor<bool>>, blank: usize) -> Result<(), ShapeError> {
    rows(shape, targets, mask, blank).map(drop)
}

fn rows(shape: &[usize], targets: &[Vec<usize>], mask: Option<&Tensor<bool>>, blank: usize) -> Result<Vec<Row>, ShapeError> {
    let error = |detail| Err(ShapeError::new("ctc", detail));
    let &[steps, batch, classes] = shape else {
        return error(format!("log-probabilities {shape:?}; wanted [T, N, C]"));
    };
    if let Some(mask) = mask.filter(|mask| *mask.shape() != [steps, batch]) {
        return error(format!("mask {}; wanted [{steps}, {batch}]", mask.shape()));
    }
    if targets.len() != batch {
        return error(format!("{} targets for {batch} sequences", targets.len()));
    }
    if blank >= classes {
        return error(format!("the blank is class {blank} of {classes}"));
    }
    let there = |n: usize| (0..steps).filter(|&t| mask.is_none_or(|m| m.at([t, n]))).collect();
    let row = |(n, target): (usize, &Vec<usize>)| Row::new(n, there(n), target, classes, blank);
    targets.iter().enumerate().map(row).collect()
}

/// The log-probabilities of a row's states at its steps, each step's less the largest of them, and the sum of these. Gradients do not
/// depend on it, and the sums over paths keep the digits that it would take.
fn table<T: Float>(log_p: &Tensor<T>, row: &Row) -> (Vec<Vec<f64>>, f64) {
    let (batch, classes) = (log_p.shape()[1], log_p.shape()[2]);
    let all = log_p.as_slice().expect("made contiguous before");
    let at = |t: usize, class: usize| all[(t * batch + row.index) * classes + class].to_f64();
    let mut offset = 0.0;
    let step = |&t: &usize| {
        let mut step: Vec<f64> = row.states.iter().map(|&class| at(t, class)).collect();
        let most = largest(&step);
        offset += most;
        step.iter_mut().for_each(|p| *p -= most);
        step
    };
    (row.steps.iter().map(step).collect(), offset)
}

/// The largest, and 0 if it is infinite.
fn largest(log_p: &[f64]) -> f64 {
    let most = log_p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most.is_finite() { most } else { 0.0 }
}

/// `ln (e^a + e^b)`.
fn add_logs(a: f64, b: f64) -> f64 {
    let most = a.max(b);
    if most == f64::NEG_INFINITY {
        return if a.is_nan() || b.is_nan() { f64::NAN } else { most };
    }
    most + ((a - most).exp() + (b - most).exp()).ln()
}

/// The logarithms of the probabilities of all beginnings of a path that end at step `t` in state `s`, and that of all paths.
fn forward(log_p: &[Vec<f64>], row: &Row) -> (Vec<Vec<f64>>, f64) {
    let states = row.states.len();
    let mut sums = vec![vec![f64::NEG_INFINITY; states]; log_p.len()];
    let first = states.min(2);
    sums[0][..first].copy_from_slice(&log_p[0][..first]);
    for t in 1..log_p.len() {
        let (before, now) = sums.split_at_mut(t);
        let before = &before[t - 1];
        for s in 0..states {
            let mut sum = before[s];
            if s >= 1 {
                sum = add_logs(sum, before[s - 1]);
            }
            if row.skips(s) {
                sum = add_logs(sum, before[s - 2]);
            }
            now[0][s] = sum + log_p[t][s];
        }
    }
    let last = &sums[log_p.len() - 1];
    let all = if states == 1 { last[0] } else { add_logs(last[states - 1], last[states - 2]) };
    (sums, all)
}

/// The logarithms of the probabilities of all ends of a path, after it was at step `t` in state `s`.
fn backward(log_p: &[Vec<f64>], row: &Row) -> Vec<Vec<f64>> {
    let (steps, states) = (log_p.len(), row.states.len());
    let mut sums = vec![vec![f64::NEG_INFINITY; states]; steps];
    sums[steps - 1][states.saturating_sub(2)..].fill(0.0);
    for t in (0..steps - 1).rev() {
        let after = |s: usize| sums[t + 1][s] + log_p[t + 1][s];
        let sum = |s: usize| {
            let mut sum = after(s);
            if s + 1 < states {
                sum = add_logs(sum, after(s + 1));
            }
            if s + 2 < states && row.skips(s + 2) {
                sum = add_logs(sum, after(s + 2));
            }
            sum
        };
        sums[t] = (0..states).map(sum).collect();
    }
    sums
}

/// The gradient with respect to a log-probability is minus the probability that the path was there, given the target.
fn add_gradient<T: Float>(log_p: &Tensor<T>, row: &Row, g: f64, gx: &mut Tensor<T>) {
    if g == 0.0 {
        return;
    }
    let (batch, classes) = (log_p.shape()[1], log_p.shape()[2]);
    let log_p = table(log_p, row).0;
    let (before, all) = forward(&log_p, row);
    let after = backward(&log_p, row);
    let gx = gx.as_mut_slice();
    for (i, &t) in row.steps.iter().enumerate() {
        for (s, &class) in row.states.iter().enumerate() {
            let both = before[i][s] + after[i][s];
            if both != f64::NEG_INFINITY {
                gx[(t * batch + row.index) * classes + class] -= T::lit(g * (both - all).exp());
            }
        }
    }
}

/// The same, but for constants, in ops that have derivatives of every order.
fn unfold<T: Float>(log_p: &Var<T>, rows: &[Row]) -> Var<T> {
    let losses: Vec<Var<T>> = rows.iter().map(|row| unfold_row(log_p, row)).collect();
    Var::stack(&losses.iter().collect::<Vec<_>>(), 0)
}

fn unfold_row<T: Float>(log_p: &Var<T>, row: &Row) -> Var<T> {
    let states = row.states.len();
    let indices = |of: &[usize]| Tensor::from_vec(of.iter().map(|&i| i as i64).collect(), [of.len()]);
    let log_p = log_p.select(1, row.index).index_select(0, &indices(&row.steps)).index_select(1, &indices(&row.states));
    let steps = log_p.value().to_vec();
    let most = steps.chunks_exact(states).map(|step| T::lit(largest(&step.iter().map(|p| (*p).to_f64()).collect::<Vec<_>>())));
    let log_p = log_p - Var::constant(Tensor::from_vec(most.collect(), [row.steps.len(), 1]));
    let never = |n: usize| Var::<T>::constant(Tensor::full([n], -T::INFINITY));
    let skip = Tensor::from_fn([states], |at| !row.skips(at[0]));
    let first = states.min(2);
    let mut sums = Var::concat(&[&log_p.select(0, 0).slice(0, ..first), &never(states - first)], 0);
    for t in 1..row.steps.len() {
        let shifted = |by: usize| {
            let by = by.min(states);
            Var::concat(&[&never(by), &sums.slice(0, ..states - by)], 0)
        };
        let from = [&sums, &shifted(1), &shifted(2).masked_fill(&skip, f64::NEG_INFINITY)];
        sums = Var::stack(&from, 0).logsumexp(0) + log_p.select(0, t);
    }
    -sums.slice(0, states.saturating_sub(2)..).logsumexp(0)
}

impl<T: Float> Sampled<T> for Ctc {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("ctc", |rng| {
            let [steps, batch, classes] = [1 + rng.below(4), 1 + rng.below(2), 2 + rng.below(2)];
            // The first step is always there.
            let mask = Tensor::bernoulli([steps, batch], 0.7, rng);
            let mask = Tensor::from_fn([steps, batch], |at| at[0] == 0 || mask.at([at[0], at[1]]));
            let blank = rng.below(classes);
            let target = |n: usize, rng: &mut Rng| {
                let there = (0..steps).filter(|&t| mask.at([t, n])).count();
                let label = |rng: &mut Rng| (blank + 1 + rng.below(classes - 1)) % classes;
                (0..rng.below(there.div_ceil(2) + 1)).map(|_| label(rng)).collect::<Vec<usize>>()
            };
            let targets: Vec<Vec<usize>> = (0..batch).map(|n| target(n, rng)).collect();
            Case::new([draw::of_shape(rng, [steps, batch, classes])], move |v| v[0].ctc(&targets, Some(&mask), blank))
        })]
    }
}
