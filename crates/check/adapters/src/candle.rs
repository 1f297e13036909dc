//! Candle's functions, on the CPU.

use crate::caught;
use candle_core::{DType, Device, Error, Tensor, Var};
use gradus_check::{Array, Function};

/// A closure over candle tensors, as the checker sees it.
pub struct CandleFunction<F> {
    name: String,
    f: F,
}

impl<F: Fn(&[Tensor]) -> candle_core::Result<Tensor>> CandleFunction<F> {
    /// A function with a name for the report.
    pub fn new(name: impl Into<String>, f: F) -> Self {
        Self { name: name.into(), f }
    }
}

/// The tensor of an array.
///
/// # Errors
/// When candle refuses.
pub fn tensor_of(a: &Array) -> candle_core::Result<Tensor> {
    Tensor::from_slice(a.data(), a.shape(), &Device::Cpu)
}

fn array_of(t: &Tensor) -> candle_core::Result<Array> {
    Ok(Array::new(t.dims(), t.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?))
}

/// What candle refuses or panics with, as text.
fn told<R>(f: impl FnOnce() -> candle_core::Result<R>) -> Result<R, String> {
    caught(f)?.map_err(|e: Error| e.to_string())
}

impl<F: Fn(&[Tensor]) -> candle_core::Result<Tensor>> Function for CandleFunction<F> {
    fn value(&self, inputs: &[Array]) -> Result<Array, String> {
        let run = || array_of(&(self.f)(&inputs.iter().map(tensor_of).collect::<candle_core::Result<Vec<_>>>()?)?);
        told(run)
    }

    /// By `backward` of `Σ y gy`. Where candle gives no gradient at all it claims that there is none: zeros, which the
    /// checker holds against differences like any other claim.
    fn vjp(&self, inputs: &[Array], gy: &Array) -> Result<Vec<Array>, String> {
        let run = || {
            let vars = inputs.iter().map(|a| Var::from_tensor(&tensor_of(a)?)).collect::<candle_core::Result<Vec<_>>>()?;
            let xs: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
            let grads = ((self.f)(&xs)? * tensor_of(gy)?)?.sum_all()?.backward()?;
            let gradient = |(x, a): (&Tensor, &Array)| grads.get(x).map_or_else(|| Ok(Array::full(a.shape(), 0.0)), array_of);
            xs.iter().zip(inputs).map(gradient).collect()
        };
        told(run)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
