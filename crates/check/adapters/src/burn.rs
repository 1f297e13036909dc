//! Burn's functions, on the ndarray backend under autodiff.

use crate::caught;
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use burn_tensor::{Tensor, TensorData};
use gradus_check::{Array, Function};

/// The backend that is checked.
pub type B = Autodiff<NdArray<f64>>;

/// An input, of a rank that burn knows at compile time only: a closure says which it takes.
pub struct Input {
    flat: Tensor<B, 1>,
    shape: Vec<usize>,
}

impl Input {
    fn new(a: &Array) -> Self {
        let data = TensorData::new(a.data().to_vec(), [a.len()]);
        Self { flat: Tensor::from_data(data, &Default::default()), shape: a.shape().to_vec() }
    }

    /// The tensor; a reshape of the leaf whose gradient is asked for.
    ///
    /// # Panics
    /// When the input has another rank.
    pub fn tensor<const D: usize>(&self) -> Tensor<B, D> {
        let shape: [usize; D] = self.shape[..].try_into().expect("the rank that the closure wants");
        self.flat.clone().reshape(shape)
    }
}

/// A result of any rank.
pub struct Output {
    flat: Tensor<B, 1>,
    shape: Vec<usize>,
}

impl<const D: usize> From<Tensor<B, D>> for Output {
    fn from(y: Tensor<B, D>) -> Self {
        let shape = y.dims().to_vec();
        Self { flat: y.reshape([shape.iter().product::<usize>()]), shape }
    }
}

/// A closure over burn tensors, as the checker sees it. What burn panics with is an error to the checker.
pub struct BurnFunction<F> {
    name: String,
    f: F,
}

impl<Y: Into<Output>, F: Fn(&[Input]) -> Y> BurnFunction<F> {
    /// A function with a name for the report.
    pub fn new(name: impl Into<String>, f: F) -> Self {
        Self { name: name.into(), f }
    }
}

fn numbers(data: TensorData) -> Vec<f64> {
    data.to_vec().expect("the backend computes in f64")
}

impl<Y: Into<Output>, F: Fn(&[Input]) -> Y> Function for BurnFunction<F> {
    fn value(&self, inputs: &[Array]) -> Result<Array, String> {
        caught(|| {
            let y: Output = (self.f)(&inputs.iter().map(Input::new).collect::<Vec<_>>()).into();
            Array::new(y.shape, numbers(y.flat.into_data()))
        })
    }

    /// By `backward` of `Σ y gy`. Where burn gives no gradient at all it claims that there is none: zeros, which the
    /// checker holds against differences like any other claim.
    fn vjp(&self, inputs: &[Array], gy: &Array) -> Result<Vec<Array>, String> {
        caught(|| {
            let leaf = |a: &Array| {
                let input = Input::new(a);
                Input { flat: input.flat.require_grad(), ..input }
            };
            let xs: Vec<Input> = inputs.iter().map(leaf).collect();
            let y: Output = (self.f)(&xs).into();
            let grads = (y.flat * Input::new(gy).flat).sum().backward();
            let gradient = |x: &Input| {
                let n = x.shape.iter().product();
                let data = x.flat.grad(&grads).map_or_else(|| vec![0.0; n], |g| numbers(g.into_data()));
                Array::new(x.shape.clone(), data)
            };
            xs.iter().map(gradient).collect()
        })
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
