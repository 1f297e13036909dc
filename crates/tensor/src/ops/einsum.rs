//! Sums of products over named axes.

use crate::compiled_once::compiled_once;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::shape::{AxisList, Shape};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// An axis of an [`einsum`](Tensor::einsum): a letter, or an axis that `...` stands for, counted from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// The `i`-th axis from the end among those that `...` stands for.
    Ellipsis(usize),
    /// An axis by its letter.
    Letter(char),
}

/// The labels of one operand's axes, outermost first.
pub type Labels = SmallVec<[Label; 6]>;

/// What a spec means for operands of given shapes: a label for every axis, and every label's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EinsumPlan {
    operands: Vec<Labels>,
    output: Labels,
    sizes: Vec<(Label, usize)>,
}

impl EinsumPlan {
    /// The labels of each operand's axes.
    pub fn operands(&self) -> &[Labels] {
        &self.operands
    }

    /// The places of a label that an operand has twice, if there is one: from now on, the plan takes the operand with the
    /// diagonal of these axes as its last one in their place.
    ///
    /// ```
    /// use gradus_tensor::{Tensor, einsum_plan};
    /// let mut plan = einsum_plan("ii->", &[&[2, 2]]).unwrap();
    /// assert_eq!(plan.take_diagonal(0), Some((0, 1)));
    /// assert_eq!(plan.run(&[&Tensor::from([1.0f32, 4.0])]).item(), 5.0);
    /// assert_eq!(plan.take_diagonal(0), None);
    /// ```
    pub fn take_diagonal(&mut self, operand: usize) -> Option<(usize, usize)> {
        let labels = self.operands.get_mut(operand)?;
        let (first, second) = repeated(labels)?;
        let label = labels.remove(second);
        labels.remove(first);
        labels.push(label);
        Some((first, second))
    }

    /// The labels of the result's axes.
    pub fn output(&self) -> &[Label] {
        &self.output
    }

    /// How many indices a label runs over; 1 for one that no operand has.
    pub fn size(&self, label: Label) -> usize {
        self.sizes.iter().find(|s| s.0 == label).map_or(1, |s| s.1)
    }

    /// The sizes of several labels.
    pub fn shape(&self, labels: &[Label]) -> Shape {
        labels.iter().map(|&l| self.size(l)).collect()
    }

    /// The plan whose result is the gradient of one operand: its operands are the gradient of this plan's result, and
    /// this plan's other operands in their order. Where `...` repeated an axis of size 1 of that operand, the
    /// result is still to be summed down to its shape.
    ///
    /// # Panics
    /// When there is no such operand, or it has a label twice: take its diagonal first.
    ///
    /// ```
    /// use gradus_tensor::{Tensor, einsum_plan};
    /// let plan = einsum_plan("ij,jk->ik", &[&[2, 3], &[3, 4]]).unwrap();
    /// let (a, gy) = (Tensor::<f32>::ones([2, 3]), Tensor::ones([2, 4]));
    /// assert_eq!(plan.adjoint(1).run(&[&gy, &a]), a.t().matmul(&gy));
    /// ```
    #[track_caller]
    pub fn adjoint(&self, operand: usize) -> EinsumPlan {
        let Some(output) = self.operands.get(operand).cloned() else {
            let detail = format!("no operand {operand} in a plan of {}", self.operands.len());
            Err(ShapeError::new("einsum", detail)).or_panic()
        };
        if let Some((first, _)) = repeated(&output) {
            let detail = format!("operand {operand} has {} twice; its adjoint is that of its diagonal", output[first]);
            Err(ShapeError::new("einsum", detail)).or_panic()
        }
        let others = self.operands.iter().enumerate().filter(|(i, _)| *i != operand).map(|(_, labels)| labels.clone());
        EinsumPlan { operands: [self.output.clone()].into_iter().chain(others).collect(), output, sizes: self.sizes.clone() }
    }

    /// The result for operands of the shapes that the plan was made for.
    ///
    /// # Panics
    /// When an operand has another shape than the plan was made for.
    #[track_caller]
    pub fn run<T: Float>(&self, operands: &[&Tensor<T>]) -> Tensor<T> {
        if operands.len() != self.operands.len() {
            let detail = format!("{} operands for a plan of {}", operands.len(), self.operands.len());
            Err(ShapeError::new("einsum", detail)).or_panic()
        }
        let mut left: Vec<Term<T>> = Vec::with_capacity(operands.len());
        for (labels, x) in self.operands.iter().zip(operands) {
            left.push(Term::new(labels.clone(), x, self));
        }
        let mut result = left.remove(0);
        while !left.is_empty() {
            let second = left.remove(0);
            let wanted = |l: Label| self.output.contains(&l) || left.iter().any(|t| t.labels.contains(&l));
            let first = result.sum_unwanted(|l| wanted(l) || second.labels.contains(&l));
            let second = second.sum_unwanted(|l| wanted(l) || first.labels.contains(&l));
            result = contract(first, second, wanted);
        }
        let result = result.sum_unwanted(|l| self.output.contains(&l));
        result.laid_out(&self.output).expand_for("einsum", self.shape(&self.output))
    }
}

/// Resolves an [`einsum`](Tensor::einsum) spec for operands of the given shapes.
///
/// ```
/// use gradus_tensor::einsum_plan;
/// let plan = einsum_plan("ij,jk", &[&[2, 3], &[3, 4]]).unwrap();
/// assert_eq!(plan.shape(plan.output()), [2, 4]);
/// let err = einsum_plan("ij,jk", &[&[2, 3], &[5, 4]]).unwrap_err();
/// assert_eq!(err.to_string(), "einsum: \"ij,jk\": axis 'j' has size 3, but 5 in operand 1 of shape [5, 4]");
/// ```
pub fn einsum_plan(spec: &str, shapes: &[&[usize]]) -> Result<EinsumPlan, ShapeError> {
    let error = |detail: String| ShapeError::new("einsum", format!("{spec:?}: {detail}"));
    let compact: String = spec.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match compact.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (&compact[..], None),
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != shapes.len() {
        return Err(error(format!("names {} operands, {} are given", terms.len(), shapes.len())));
    }
    let mut plan = EinsumPlan { operands: vec![], output: Labels::new(), sizes: vec![] };
    for (i, (term, shape)) in terms.iter().zip(shapes).enumerate() {
        let labels = labels_of(term, Some(shape.len())).map_err(|e| error(format!("operand {i} of shape {shape:?}: {e}")))?;
        for (&label, &n) in labels.iter().zip(*shape) {
            match plan.sizes.iter_mut().find(|s| s.0 == label) {
                None => plan.sizes.push((label, n)),
                Some((_, size)) if *size == n || n == 1 && matches!(label, Label::Ellipsis(_)) => {}
                Some((_, size)) if *size == 1 && matches!(label, Label::Ellipsis(_)) => *size = n,
                Some(&mut (_, size)) => {
                    return Err(error(format!("{label} has size {size}, but {n} in operand {i} of shape {shape:?}")));
                }
            }
        }
        plan.operands.push(labels);
    }
    let mut ellipsis: Labels = plan.sizes.iter().map(|s| s.0).filter(|l| matches!(l, Label::Ellipsis(_))).collect();
    ellipsis.sort_unstable_by(|a, b| b.cmp(a));
    match output {
        Some(output) => {
            let (before, after) = output.split_once("...").unwrap_or((output, ""));
            plan.output.extend(labels_of(before, None).map_err(|e| error(format!("the output: {e}")))?);
            if output.contains("...") {
                plan.output.extend(ellipsis);
            }
            plan.output.extend(labels_of(after, None).map_err(|e| error(format!("the output: {e}")))?);
        }
        None => {
            let mut letters: Vec<Label> = plan.operands.iter().flatten().copied().collect();
            letters.sort_unstable();
            let once = letters.iter().filter(|l| letters.iter().filter(|m| m == l).count() == 1);
            plan.output.extend(ellipsis);
            plan.output.extend(once.copied().filter(|l| matches!(l, Label::Letter(_))));
        }
    }
    for (i, &label) in plan.output.iter().enumerate() {
        if plan.output[..i].contains(&label) {
            return Err(error(format!("{label} is twice in the output")));
        }
        if !plan.sizes.iter().any(|s| s.0 == label) {
            return Err(error(format!("{label} of the output is in no operand")));
        }
    }
    plan.shape(&plan.output).checked("einsum")?;
    Ok(plan)
}

/// The labels of one term. With a `rank`, one `...` may stand for the axes that the letters leave over.
fn labels_of(term: &str, rank: Option<usize>) -> Result<Labels, String> {
    let letters = |s: &str| -> Result<Labels, String> {
        s.chars()
            .map(|c| if c.is_ascii_alphabetic() { Ok(Label::Letter(c)) } else { Err(format!("{c:?} is no letter")) })
            .collect()
    };
    let (mut labels, rest) = match (term.split_once("..."), rank) {
        (Some((before, after)), Some(rank)) => {
            let (before, after) = (letters(before)?, letters(after)?);
            let named = before.len() + after.len();
            let hidden = rank.checked_sub(named).ok_or_else(|| format!("{named} letters for {rank} axes"))?;
            let mut labels = before;
            labels.extend((0..hidden).rev().map(Label::Ellipsis));
            (labels, after)
        }
        _ => (letters(term)?, Labels::new()),
    };
    labels.extend(rest);
    match rank {
        Some(rank) if rank != labels.len() => Err(format!("{} letters for {rank} axes", labels.len())),
        _ => Ok(labels),
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Label::Letter(c) => write!(f, "axis {c:?}"),
            Label::Ellipsis(i) => write!(f, "axis -{} of \"...\"", i + 1),
        }
    }
}

/// A tensor with a name for each axis, no name twice.
struct Term<T: Float> {
    labels: Labels,
    value: Tensor<T>,
}

impl<T: Float> Term<T> {
    /// An operand, its repeated labels replaced by their diagonal. Ellipsis axes of size 1 that are larger elsewhere
    /// are dropped: the product broadcasts anyway.
    #[track_caller]
    fn new(mut labels: Labels, x: &Tensor<T>, plan: &EinsumPlan) -> Self {
        let fits = |(&l, &n): (&Label, &usize)| n == plan.size(l) || (n == 1 && matches!(l, Label::Ellipsis(_)));
        if labels.len() != x.rank() || !labels.iter().zip(x.shape().iter()).all(fits) {
            let detail = format!("an operand of shape {} for a plan of {}", x.shape(), plan.shape(&labels));
            Err(ShapeError::new("einsum", detail)).or_panic()
        }
        let mut value = x.clone();
        for i in (0..labels.len()).rev() {
            if value.shape()[i] != plan.size(labels[i]) {
                value = value.squeeze(i);
                labels.remove(i);
            }
        }
        while let Some((first, second)) = repeated(&labels) {
            // The diagonal comes last.
            let order: AxisList = (0..labels.len()).filter(|&a| a != first && a != second).chain([first, second]).collect();
            value = value.permute(&order).diagonal(0);
            let label = labels.remove(second);
            labels.remove(first);
            labels.push(label);
        }
        Self { labels, value }
    }

    /// Sums over the labels that nothing further asks for.
    #[track_caller]
    fn sum_unwanted(&self, wanted: impl Fn(Label) -> bool) -> Self {
        let axes: AxisList = (0..self.labels.len()).filter(|&i| !wanted(self.labels[i])).collect();
        let labels = self.labels.iter().copied().filter(|&l| wanted(l)).collect();
        Self { labels, value: if axes.is_empty() { self.value.clone() } else { self.value.sum(&axes) } }
    }

    /// The axes in the order of `labels`; those that this has not become axes of size 1.
    fn laid_out(&self, labels: &[Label]) -> Tensor<T> {
        let have = |l: &Label| self.labels.iter().position(|m| m == l);
        let order: AxisList = labels.iter().filter_map(have).collect();
        let mut value = self.value.permute(&order);
        for (i, l) in labels.iter().enumerate() {
            if have(l).is_none() {
                value = value.unsqueeze(i);
            }
        }
        value
    }

    /// As a batch of matrices `[batch.., rows, columns]`, where rows and columns are several axes each.
    #[track_caller]
    fn matrices(&self, batch: &[Label], rows: &[Label], columns: &[Label], numel: impl Fn(&[Label]) -> usize) -> Tensor<T> {
        let order: Labels = [batch, rows, columns].concat().into();
        let x = self.laid_out(&order);
        let shape: Shape = x.shape()[..batch.len()].iter().copied().chain([numel(rows), numel(columns)]).collect();
        x.reshaped("einsum", shape)
    }
}

/// The places of a label that occurs twice.
fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|i| labels[..i].iter().position(|&l| l == labels[i]).map(|first| (first, i)))
}

/// The product of two terms, summed over the labels that both have and nothing further asks for: one (batched) matrix
/// product, or a broadcast product when there is nothing to sum.
#[track_caller]
fn contract<T: Float>(a: Term<T>, b: Term<T>, wanted: impl Fn(Label) -> bool) -> Term<T> {
    let shared = |l: &Label| b.labels.contains(l);
    let batch: Labels = a.labels.iter().copied().filter(|l| shared(l) && wanted(*l)).collect();
    let summed: Labels = a.labels.iter().copied().filter(|l| shared(l) && !wanted(*l)).collect();
    let rows: Labels = a.labels.iter().copied().filter(|l| !shared(l)).collect();
    let columns: Labels = b.labels.iter().copied().filter(|l| !a.labels.contains(l)).collect();
    let labels: Labels = [&batch[..], &rows, &columns].concat().into();
    if summed.is_empty() {
        let value = a.laid_out(&labels).zip_map("einsum", &b.laid_out(&labels), |a, b| a * b);
        return Term { labels, value };
    }
    let size = |l: &Label| -> usize {
        let of = |t: &Term<T>| t.labels.iter().position(|m| m == l).map(|i| t.value.shape()[i]);
        of(&a).or_else(|| of(&b)).unwrap_or(1)
    };
    let numel = |labels: &[Label]| labels.iter().map(size).product::<usize>();
    let y = a.matrices(&batch, &rows, &summed, numel).product("einsum", &b.matrices(&batch, &summed, &columns, numel));
    let shape: Shape = labels.iter().map(size).collect();
    Term { value: y.reshaped("einsum", shape), labels }
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// The sum of products that `spec` describes (Einstein's convention, as in NumPy and PyTorch): a letter names an axis;
    /// axes with one letter run together; those not in the output are summed. Without `->`, the output has the letters that
    /// occur once, in alphabetical order. `...` stands for any further axes, which broadcast. A letter that one operand has
    /// twice is its diagonal.
    ///
    /// # Panics
    /// When the spec does not fit the operands; [`einsum_plan`] is the check.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let a = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(Tensor::einsum("ij,jk->ik", &[&a, &a]), a.matmul(&a));
    /// assert_eq!(Tensor::einsum("ii", &[&a]).item(), 5.0);
    /// assert_eq!(Tensor::einsum("...ij->...ji", &[&a]), a.t());
    /// ```
    #[doc(alias = "tensordot")]
    #[track_caller]
    pub fn einsum(spec: &str, operands: &[&Tensor<T>]) -> Self {
        let shapes: Vec<&[usize]> = operands.iter().map(|x| &x.shape()[..]).collect();
        einsum_plan(spec, &shapes).or_panic().run(operands)
    }
}
