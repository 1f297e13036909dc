//! Weights in files: the safetensors format, written beside and renamed.

use crate::error::TrainError;
use gradus_autograd::Module;
use gradus_data::safetensors::{self, Metadata};
use gradus_data::{Array, state_for};
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// The tensor, unless it is of another element type.
pub(crate) fn tensor<T: Float>(array: &Array) -> Result<Tensor<T>, String> {
    if array.dtype() != T::DTYPE {
        return Err(format!("is of type {:?}; wanted {:?}", array.dtype(), T::DTYPE));
    }
    Ok(array.cast())
}

/// Writes tensors by name, and text by name, as one safetensors file.
///
/// # Errors
/// When the file cannot be written.
pub fn save_tensors<T: Float>(
    path: impl AsRef<Path>,
    tensors: &BTreeMap<String, Tensor<T>>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), TrainError> {
    let tensors = tensors.iter().map(|(name, t)| (name.clone(), Array::of(t))).collect();
    Ok(safetensors::write(path, &tensors, metadata)?)
}

/// What [`save_tensors`] wrote: the tensors and the text. Tensors of `f32` are widened where `T` is `f64`.
///
/// # Errors
/// When the file cannot be read, is no safetensors file, is damaged, or has tensors of integers, or of floats that do not
/// keep their values as `T`.
pub fn load_tensors<T: Float>(path: impl AsRef<Path>) -> Result<(BTreeMap<String, Tensor<T>>, Metadata), TrainError> {
    let path = path.as_ref();
    let (stored, metadata) = safetensors::read(path)?;
    Ok((state_for(path, &stored, |_| true, false)?, metadata))
}

/// Writes a module's parameters and buffers under their paths, as safetensors.
///
/// # Errors
/// When the file cannot be written.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("weights.safetensors");
/// use gradus_nn::{Linear, Module};
/// use gradus_tensor::Rng;
/// use gradus_train::{load_weights, save_weights};
/// let a: Linear = Linear::new(3, 2, &mut Rng::seed(0));
/// save_weights(&a, &path)?;
/// let mut b: Linear = Linear::new(3, 2, &mut Rng::seed(1));
/// load_weights(&mut b, &path)?;
/// assert_eq!(a.state_dict(), b.state_dict());
/// # Ok::<(), gradus_train::TrainError>(())
/// ```
#[doc(alias = "torch.save")]
pub fn save_weights<T: Float, M: Module<T>>(module: &M, path: impl AsRef<Path>) -> Result<(), TrainError> {
    save_tensors(path.as_ref(), &module.state_dict(), &BTreeMap::new())
}

/// Sets a module's parameters and buffers from a safetensors file, of this library's or of PyTorch's.
///
/// Values keep their bits or are widened. Integers that the module has no place for are passed over, such as the counters
/// `num_batches_tracked` of PyTorch's batch normalisations.
///
/// # Errors
/// When the file cannot be read; when it does not fit: missing, left-over and mis-shaped entries are named by path, and the
/// module is left as it was; or when values would be rounded, as those of `f64` in a module of `f32`.
#[doc(alias = "torch.load")]
pub fn load_weights<T: Float, M: Module<T>>(module: &mut M, path: impl AsRef<Path>) -> Result<(), TrainError> {
    load_into(module, path.as_ref())
}

fn load_into<T: Float>(mut module: &mut dyn Module<T>, path: &Path) -> Result<(), TrainError> {
    let (stored, _) = safetensors::read(path)?;
    let places = module.state_dict();
    let state = state_for(path, &stored, |name| places.contains_key(name), false)?;
    Module::load_state_dict(&mut module, &state).map_err(|e| TrainError::in_file(path, e.to_string()))
}
