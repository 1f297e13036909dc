//! The list of ops as the list of tests: sample inputs for every op.

use crate::attributes::Attributes;
use crate::dual::Dual;
use crate::inspect::recorded::recorded_ops;
use crate::op::{Op, OpKind};
use crate::var::Var;
use gradus_tensor::{Float, Rng, Tensor};
use std::any::{Any, TypeId, type_name};

type Apply<T> = Box<dyn Fn(&[Var<T>]) -> Var<T> + Send + Sync>;

/// One random call of an op, on operands that do not depend on the element type of the call.
pub struct Case<T: Float = f64> {
    /// The operands' values.
    pub inputs: Vec<Tensor<f64>>,
    /// The call.
    pub apply: Apply<T>,
    /// The forward formula over dual numbers, for functions of one element.
    pub dual: Option<fn(Dual) -> Dual>,
}

impl<T: Float> Case<T> {
    /// A call of `apply` on `inputs`.
    pub fn new<const N: usize>(inputs: [Tensor<f64>; N], apply: impl Fn(&[Var<T>]) -> Var<T> + Send + Sync + 'static) -> Self {
        Self { inputs: inputs.into(), apply: Box::new(apply), dual: None }
    }

    /// With the forward formula over dual numbers.
    pub fn with_dual(self, f: fn(Dual) -> Dual) -> Self {
        Self { dual: Some(f), ..self }
    }
}

/// How to call an op on random inputs, within the domain where it is smooth.
pub struct OpSample<T: Float = f64> {
    /// The op's name on the tape.
    pub name: &'static str,
    /// Draws shapes, arguments and values.
    pub case: fn(&mut Rng) -> Case<T>,
    /// Whether operands may hold equal elements; not where ties are kinks.
    pub ties: bool,
    /// Whether the call is a function of single elements, which takes operands of any shapes that broadcast.
    pub elementwise: bool,
}

impl<T: Float> OpSample<T> {
    /// Samples of the op `name`.
    pub fn new(name: &'static str, case: fn(&mut Rng) -> Case<T>) -> Self {
        Self { name, case, ties: true, elementwise: false }
    }

    /// For functions of single elements.
    pub fn elementwise(self) -> Self {
        Self { elementwise: true, ..self }
    }

    /// For ops that have a kink where elements are equal.
    pub fn without_ties(self) -> Self {
        Self { ties: false, ..self }
    }
}

/// An op with samples, as every op of a list has: its gradient checks, property tests and mutations are made from them.
pub trait Sampled<T: Float>: Op<T> + Sized {
    /// Random calls.
    fn samples() -> Vec<OpSample<T>>;
}

/// A type of op on a list ([`op_list!`](crate::op_list)).
pub struct ListedOp<T: Float = f64> {
    /// The type.
    pub type_id: TypeId,
    /// Its name in the source.
    pub type_name: &'static str,
    /// Its samples.
    pub samples: fn() -> Vec<OpSample<T>>,
}

impl<T: Float> ListedOp<T> {
    /// The entry of the type `O`.
    pub fn of<O: Sampled<T>>() -> Self {
        Self { type_id: TypeId::of::<O>(), type_name: type_name::<O>(), samples: O::samples }
    }

    /// What a call of `sample` records of this type, under the sample's name; `None` if it never does.
    pub fn recorded_by(&self, sample: &OpSample<T>) -> Option<Described> {
        let is_it = |op: &&dyn Op<T>| (*op as &dyn Any).type_id() == self.type_id && op.name() == sample.name;
        // Some of its calls may find nothing to do, as on empty operands.
        (0..20).find_map(|seed| {
            let case = (sample.case)(&mut Rng::seed(seed));
            let xs: Vec<_> = case.inputs.iter().map(|x| Var::leaf(x.cast())).collect();
            let (y, ops) = recorded_ops::<T, _>(|| (case.apply)(&xs));
            let op = ops.iter().chain([&y]).filter_map(Var::op).find(is_it)?;
            Some(Described { kind: op.kind(), attributes: op.attributes() })
        })
    }
}

/// What an op says of itself.
pub struct Described {
    /// What sort of work it is.
    pub kind: OpKind,
    /// What decides its result besides its inputs.
    pub attributes: Attributes,
}

/// Makes a crate's list of ops: the function of this name, and the implementations of the crate's own trait for the listed types and no
/// others. The crate's methods apply ops that implement it, so an op that is not on the list, or has no samples, does not compile.
#[doc(hidden)]
#[macro_export]
macro_rules! op_list {
    ($(#[$doc:meta])* impl $listed:ident; pub fn $name:ident; tables: [$($table:path),* $(,)?]; ops: [$($op:ty),* $(,)?]) => {
        $(impl<T: Float> $listed<T> for $op {})*
        $(#[$doc])*
        pub fn $name<T: Float>() -> Vec<$crate::samples::ListedOp<T>> {
            let mut all = vec![$($crate::samples::ListedOp::of::<$op>()),*];
            $(all.extend($table());)*
            all
        }
    };
}

/// Random operands.
pub mod draw {
    use gradus_tensor::{Rng, Shape, Tensor};
    use std::ops::Range;

    fn shape_of(rng: &mut Rng, rank: usize, sizes: Range<usize>) -> Shape {
        (0..rank).map(|_| sizes.start + rng.below(sizes.len())).collect()
    }

    /// Of rank 0 to 4, with sizes 0 to 3.
    pub fn tensor(rng: &mut Rng, domain: Range<f64>) -> Tensor<f64> {
        let rank = rng.below(5);
        // Size 0 in one tensor of eight or so; more would leave little to check.
        let low = usize::from(rng.below(4) > 0);
        let shape = shape_of(rng, rank, low..4);
        Tensor::uniform(shape, domain.start, domain.end, rng)
    }

    /// Of rank 0 to 4, no axis empty.
    pub fn filled(rng: &mut Rng, domain: Range<f64>) -> Tensor<f64> {
        let rank = rng.below(5);
        tensor_of_rank(rng, rank, domain)
    }

    /// Of the given rank, no axis empty.
    pub fn tensor_of_rank(rng: &mut Rng, rank: usize, domain: Range<f64>) -> Tensor<f64> {
        let shape = shape_of(rng, rank, 1..4);
        Tensor::uniform(shape, domain.start, domain.end, rng)
    }

    /// Of the given shape, uniform on -2 to 2.
    pub fn of_shape(rng: &mut Rng, shape: impl Into<Shape>) -> Tensor<f64> {
        Tensor::uniform(shape, -2.0, 2.0, rng)
    }

    /// No axis empty, and no two elements nearer to each other than finite differences reach.
    pub fn distinct(rng: &mut Rng, domain: Range<f64>) -> Tensor<f64> {
        let rank = rng.below(4);
        distinct_of_shape(rng, rank, domain)
    }

    /// As [`distinct`], of the given rank.
    pub fn distinct_of_shape(rng: &mut Rng, rank: usize, domain: Range<f64>) -> Tensor<f64> {
        let shape = shape_of(rng, rank, 1..4);
        spread(rng, shape, domain)
    }

    /// Evenly spread values in random order, of the given shape.
    pub fn spread(rng: &mut Rng, shape: Shape, domain: Range<f64>) -> Tensor<f64> {
        let n = shape.numel();
        let step = (domain.end - domain.start) / n.max(1) as f64;
        let values = rng.permutation(n).into_iter().map(|i| domain.start + (i as f64 + 0.5) * step).collect();
        Tensor::from_vec(values, shape)
    }

    /// Two tensors whose shapes broadcast: each axis may be 1, or missing in front, in one of them.
    pub fn broadcast_pair(rng: &mut Rng, a: Range<f64>, b: Range<f64>) -> (Tensor<f64>, Tensor<f64>) {
        let rank = rng.below(4);
        let low = usize::from(rng.below(6) > 0);
        let full = shape_of(rng, rank, low..4);
        let (mut sa, mut sb) = (full.clone(), full);
        for i in 0..rank {
            match rng.below(4) {
                0 => sa[i] = 1,
                1 => sb[i] = 1,
                _ => {}
            }
        }
        let cut = rng.below(rank + 1);
        match rng.below(4) {
            0 => sa = sa[cut..].into(),
            1 => sb = sb[cut..].into(),
            _ => {}
        }
        (Tensor::uniform(sa, a.start, a.end, rng), Tensor::uniform(sb, b.start, b.end, rng))
    }
}
