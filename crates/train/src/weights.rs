//! Weights in files: the safetensors format, written beside and renamed.

use crate::error::TrainError;
use gradus_autograd::Module;
use gradus_data::atomic_write;
use gradus_tensor::{DType, Float, Num, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// A tensor of one of the types that are stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stored {
    F32(Tensor<f32>),
    F64(Tensor<f64>),
}

impl Stored {
    pub fn of<T: Float>(x: &Tensor<T>) -> Self {
        let shape = x.shape().to_vec();
        let values = x.to_vec().into_iter();
        match T::DTYPE {
            DType::F64 => Self::F64(Tensor::from_vec(values.map(Num::to_f64).collect(), shape)),
            _ => Self::F32(Tensor::from_vec(values.map(|v| v.to_f64() as f32).collect(), shape)),
        }
    }

    /// The tensor, unless it is of another element type.
    pub fn tensor<T: Float>(&self) -> Result<Tensor<T>, String> {
        let (shape, values): (_, Vec<T>) = match (self, T::DTYPE) {
            (Self::F32(x), DType::F32) => (x.shape(), x.to_vec().into_iter().map(|v| T::from_f64(v.into())).collect()),
            (Self::F64(x), DType::F64) => (x.shape(), x.to_vec().into_iter().map(T::from_f64).collect()),
            (found, wanted) => return Err(format!("is of type {}; wanted {wanted:?}", found.dtype())),
        };
        Ok(Tensor::from_vec(values, shape.to_vec()))
    }

    fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
        }
    }

    fn shape(&self) -> Vec<usize> {
        match self {
            Self::F32(x) => x.shape().to_vec(),
            Self::F64(x) => x.shape().to_vec(),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(x) => x.to_vec().into_iter().flat_map(f32::to_le_bytes).collect(),
            Self::F64(x) => x.to_vec().into_iter().flat_map(f64::to_le_bytes).collect(),
        }
    }

    fn from_view(view: &TensorView<'_>) -> Result<Self, String> {
        let shape = view.shape().to_vec();
        // Of an empty tensor, the other sizes may be anything, and strides are their products.
        if shape.iter().try_fold(1isize, |n, &d| n.checked_mul(isize::try_from(d.max(1)).ok()?)).is_none() {
            return Err(format!("has the shape {shape:?}, which is too large"));
        }
        let (words, _) = view.data().as_chunks::<4>();
        let (pairs, _) = view.data().as_chunks::<8>();
        let stored = match view.dtype() {
            Dtype::F32 => Tensor::try_from_vec(words.iter().map(|&b| f32::from_le_bytes(b)).collect(), shape).map(Self::F32),
            Dtype::F64 => Tensor::try_from_vec(pairs.iter().map(|&b| f64::from_le_bytes(b)).collect(), shape).map(Self::F64),
            other => return Err(format!("is of type {other}; wanted F32 or F64")),
        };
        stored.map_err(|e| format!("has a shape that does not fit its data: {e}"))
    }
}

type Metadata = BTreeMap<String, String>;

pub(crate) fn write(path: &Path, tensors: &BTreeMap<String, Stored>, metadata: &Metadata) -> Result<(), TrainError> {
    let bytes: Vec<_> = tensors.iter().map(|(name, t)| (name, t.dtype(), t.shape(), t.to_bytes())).collect();
    let failed = |e: safetensors::SafeTensorError| TrainError::in_file(path, format!("cannot lay the tensors out: {e}"));
    let views: Result<Vec<_>, _> =
        bytes.iter().map(|(name, dtype, shape, data)| Ok((name, TensorView::new(*dtype, shape.clone(), data)?))).collect();
    let metadata: HashMap<String, String> = metadata.clone().into_iter().collect();
    let metadata = (!metadata.is_empty()).then_some(metadata);
    let file = safetensors::serialize(views.map_err(failed)?, metadata).map_err(failed)?;
    Ok(atomic_write(path, |out| out.write_all(&file))?)
}

pub(crate) fn read(path: &Path) -> Result<(BTreeMap<String, Stored>, Metadata), TrainError> {
    let file = std::fs::read(path).map_err(|e| TrainError::in_file(path, format!("cannot read: {e}")))?;
    let damaged = |e: safetensors::SafeTensorError| TrainError::in_file(path, format!("not a whole safetensors file: {e}"));
    // The header's sizes are checked against the bytes that are there before anything is made of them.
    let parsed = SafeTensors::deserialize(&file).map_err(damaged)?;
    let (_, header) = SafeTensors::read_metadata(&file).map_err(damaged)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in parsed.tensors() {
        let stored = Stored::from_view(&view).map_err(|e| TrainError::in_file(path, format!("the tensor `{name}` {e}")))?;
        tensors.insert(name, stored);
    }
    Ok((tensors, header.metadata().clone().unwrap_or_default().into_iter().collect()))
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
    let tensors = tensors.iter().map(|(name, t)| (name.clone(), Stored::of(t))).collect();
    write(path.as_ref(), &tensors, metadata)
}

/// What [`save_tensors`] wrote: the tensors and the text.
///
/// # Errors
/// When the file cannot be read, is no safetensors file, is damaged, or has tensors of another element type.
pub fn load_tensors<T: Float>(path: impl AsRef<Path>) -> Result<(BTreeMap<String, Tensor<T>>, Metadata), TrainError> {
    let path = path.as_ref();
    let (stored, metadata) = read(path)?;
    let tensor = |(name, t): (String, Stored)| match t.tensor() {
        Ok(tensor) => Ok((name, tensor)),
        Err(reason) => Err(TrainError::in_file(path, format!("the tensor `{name}` {reason}"))),
    };
    Ok((stored.into_iter().map(tensor).collect::<Result<_, _>>()?, metadata))
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
