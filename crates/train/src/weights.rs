//! Weights in files: the safetensors format, written beside and renamed.

use crate::error::TrainError;
use gradus_autograd::Module;
use gradus_data::atomic_write;
use gradus_tensor::{DType, Float, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

fn dtype<T: Float>() -> Dtype {
    if T::DTYPE == DType::F64 { Dtype::F64 } else { Dtype::F32 }
}

fn to_bytes<T: Float>(x: &Tensor<T>) -> Vec<u8> {
    let values = x.to_vec().into_iter();
    match T::DTYPE {
        DType::F64 => values.flat_map(|v| v.to_f64().to_le_bytes()).collect(),
        _ => values.flat_map(|v| (v.to_f64() as f32).to_le_bytes()).collect(),
    }
}

fn from_bytes<T: Float>(bytes: &[u8]) -> Vec<T> {
    let read4 = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().expect("chunks of 4")));
    let read8 = |b: &[u8]| f64::from_le_bytes(b.try_into().expect("chunks of 8"));
    match T::DTYPE {
        DType::F64 => bytes.chunks_exact(8).map(|b| T::from_f64(read8(b))).collect(),
        _ => bytes.chunks_exact(4).map(|b| T::from_f64(read4(b))).collect(),
    }
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
    let path = path.as_ref();
    let bytes: Vec<(&String, Vec<usize>, Vec<u8>)> =
        tensors.iter().map(|(name, t)| (name, t.shape().to_vec(), to_bytes(t))).collect();
    let failed = |e: safetensors::SafeTensorError| TrainError::in_file(path, format!("cannot lay the tensors out: {e}"));
    let views: Result<Vec<_>, _> =
        bytes.iter().map(|(name, shape, data)| Ok((name, TensorView::new(dtype::<T>(), shape.clone(), data)?))).collect();
    let metadata: HashMap<String, String> = metadata.clone().into_iter().collect();
    let metadata = (!metadata.is_empty()).then_some(metadata);
    let file = safetensors::serialize(views.map_err(failed)?, metadata).map_err(failed)?;
    Ok(atomic_write(path, |out| out.write_all(&file))?)
}

type Loaded<T> = (BTreeMap<String, Tensor<T>>, BTreeMap<String, String>);

/// What [`save_tensors`] wrote.
///
/// # Errors
/// When the file cannot be read, is no safetensors file, is damaged, or has tensors of another element type.
pub fn load_tensors<T: Float>(path: impl AsRef<Path>) -> Result<Loaded<T>, TrainError> {
    let path = path.as_ref();
    let file = std::fs::read(path).map_err(|e| TrainError::in_file(path, format!("cannot read: {e}")))?;
    let damaged = |e: safetensors::SafeTensorError| TrainError::in_file(path, format!("not a whole safetensors file: {e}"));
    // The header's sizes are checked against the bytes that are there before anything is made of them.
    let parsed = SafeTensors::deserialize(&file).map_err(damaged)?;
    let (_, header) = SafeTensors::read_metadata(&file).map_err(damaged)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in parsed.tensors() {
        if view.dtype() != dtype::<T>() {
            let reason = format!("the tensor `{name}` is of type {:?}; wanted {:?}", view.dtype(), dtype::<T>());
            return Err(TrainError::in_file(path, reason));
        }
        let tensor = Tensor::try_from_vec(from_bytes(view.data()), view.shape().to_vec())
            .map_err(|e| TrainError::in_file(path, format!("the tensor `{name}`: {e}")))?;
        tensors.insert(name, tensor);
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok((tensors, metadata))
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
pub fn save_weights<T: Float, M: Module<T>>(module: &M, path: impl AsRef<Path>) -> Result<(), TrainError> {
    save_tensors(path, &module.state_dict(), &BTreeMap::new())
}

/// Sets a module's parameters and buffers from a safetensors file.
///
/// # Errors
/// When the file cannot be read, or does not fit: missing, left-over and mis-shaped entries are named by path, and the
/// module is left as it was.
pub fn load_weights<T: Float, M: Module<T>>(module: &mut M, path: impl AsRef<Path>) -> Result<(), TrainError> {
    let path = path.as_ref();
    let (tensors, _) = load_tensors(path)?;
    module.load_state_dict(&tensors).map_err(|e| TrainError::in_file(path, e.to_string()))
}
