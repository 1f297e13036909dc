//! Named tensors in the safetensors format (<https://huggingface.co/docs/safetensors>): a header in JSON, then the elements.

use crate::error::DataError;
use crate::source::checked_numel;
use crate::stored::{Array, Endian, Stored};
use crate::write::atomic_write;
use gradus_tensor::{DType, Tensor};
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// What is said about the tensors: texts by name.
pub type Metadata = BTreeMap<String, String>;

/// Reads all tensors by name, and the file's metadata. Half precision is widened to `f32`, small integers to `i32`.
///
/// # Errors
/// When the file cannot be read, is no safetensors file, is damaged, or has elements of a type that is not read. Sizes in
/// the header are held against the bytes that are there before anything is made of them.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("x.safetensors");
/// use gradus_data::{Array, safetensors};
/// use gradus_tensor::Tensor;
/// use std::collections::BTreeMap;
/// let tensors = BTreeMap::from([("fc.bias".to_string(), Array::from(Tensor::from([1.0f32, 2.0])))]);
/// safetensors::write(&path, &tensors, &BTreeMap::new())?;
/// assert_eq!(safetensors::read(&path)?.0, tensors);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<(BTreeMap<String, Array>, Metadata), DataError> {
    let path = path.as_ref();
    let file = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    let damaged = |e| DataError::in_file(path, "", format!("not a whole safetensors file: {e}"));
    let parsed = SafeTensors::deserialize(&file).map_err(damaged)?;
    let (_, header) = SafeTensors::read_metadata(&file).map_err(damaged)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in parsed.tensors() {
        let array = decode(&view).map_err(|e| DataError::in_file(path, format!("tensor `{name}`"), e))?;
        tensors.insert(name, array);
    }
    Ok((tensors, header.metadata().clone().unwrap_or_default().into_iter().collect()))
}

/// Writes tensors by name, and metadata, as one file; [atomically](crate::atomic_write). The same tensors give the same
/// bytes.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: impl AsRef<Path>, tensors: &BTreeMap<String, Array>, metadata: &Metadata) -> Result<(), DataError> {
    let path = path.as_ref();
    let bytes: Vec<_> = tensors.iter().map(|(name, t)| (name, dtype(t), t.shape().to_vec(), encode(t))).collect();
    let failed = |e| DataError::in_file(path, "", format!("cannot lay the tensors out: {e}"));
    let views: Result<Vec<_>, _> =
        bytes.iter().map(|(name, dtype, shape, data)| Ok((name, TensorView::new(*dtype, shape.clone(), data)?))).collect();
    let metadata: HashMap<String, String> = metadata.clone().into_iter().collect();
    let metadata = (!metadata.is_empty()).then_some(metadata);
    let file = safetensors::serialize(views.map_err(failed)?, metadata).map_err(failed)?;
    atomic_write(path, |out| out.write_all(&file))
}

fn dtype(array: &Array) -> Dtype {
    match array.dtype() {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

fn encode(array: &Array) -> Vec<u8> {
    fn bytes<T: Stored>(tensor: &Tensor<T>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(tensor.numel() * T::BYTES);
        T::encode(&tensor.to_vec(), Endian::Little, &mut bytes).expect("a vector takes any number of bytes");
        bytes
    }
    crate::stored::each!(array, t => bytes(t))
}

fn decode(view: &TensorView<'_>) -> Result<Array, String> {
    fn tensor<T: Stored>(values: Vec<T>, shape: &[usize]) -> Result<Array, String> {
        let tensor = Tensor::try_from_vec(values, shape).map_err(|e| format!("the shape does not fit the data: {e}"))?;
        Ok(tensor.into())
    }
    fn plain<T: Stored>(view: &TensorView<'_>) -> Result<Array, String> {
        tensor(T::decode(view.data().to_vec(), Endian::Little), view.shape())
    }
    let shape = view.shape();
    if checked_numel(shape).is_none() {
        return Err(format!("the shape {shape:?} is too large"));
    }
    let words = || view.data().as_chunks().0.iter().map(|&b| u16::from_le_bytes(b));
    match view.dtype() {
        Dtype::F32 => plain::<f32>(view),
        Dtype::F64 => plain::<f64>(view),
        Dtype::I32 => plain::<i32>(view),
        Dtype::I64 => plain::<i64>(view),
        Dtype::U8 => plain::<u8>(view),
        Dtype::BOOL => plain::<bool>(view),
        Dtype::F16 => tensor(words().map(|w| f16::from_bits(w).to_f32()).collect(), shape),
        Dtype::BF16 => tensor(words().map(|w| bf16::from_bits(w).to_f32()).collect(), shape),
        Dtype::I16 => tensor(words().map(|w| i32::from(w.cast_signed())).collect(), shape),
        Dtype::I8 => tensor(view.data().iter().map(|b| i32::from(b.cast_signed())).collect(), shape),
        other => {
            Err(format!("the elements are {other}, which is not read; wanted floats of up to 64 bits, I8 to I64, U8 or BOOL"))
        }
    }
}
