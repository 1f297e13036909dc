//! Named tensors in the safetensors format (<https://huggingface.co/docs/safetensors>): a header in JSON, then the elements.

use crate::element::ElementType;
use crate::error::DataError;
use crate::source::checked_numel;
use crate::stored::{Array, Endian, Stored};
use crate::write::atomic_write;
use gradus_tensor::{DType, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// What is said about the tensors: texts by name.
pub type Metadata = BTreeMap<String, String>;

/// Reads all tensors by name, and the file's metadata. Half precision is widened to `f32`, small integers to `i32`,
/// and `U32` to `i64`.
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
    read_file(path.as_ref())
}

fn read_file(path: &Path) -> Result<(BTreeMap<String, Array>, Metadata), DataError> {
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

/// Writes tensors by name, and metadata, as one file; [atomically](crate::atomic_write). The same tensors and metadata give
/// the same bytes.
///
/// The layout is that of the `safetensors` library: types of larger elements first, then by name.
///
/// # Errors
/// When the file cannot be written, or `metadata` and names take more than the 100 MB that a header may have.
pub fn write(path: impl AsRef<Path>, tensors: &BTreeMap<String, Array>, metadata: &Metadata) -> Result<(), DataError> {
    write_file(path.as_ref(), tensors, metadata)
}

fn write_file(path: &Path, tensors: &BTreeMap<String, Array>, metadata: &Metadata) -> Result<(), DataError> {
    let mut order: Vec<(&String, &Array)> = tensors.iter().collect();
    // Stable: within a type, the names stay sorted.
    order.sort_by_key(|(_, array)| std::cmp::Reverse(dtype(array)));
    let header = header(&order, metadata);
    if header.len() > LONGEST_HEADER {
        let reason = format!("the names and metadata take {} bytes; readers accept {LONGEST_HEADER}", header.len());
        return Err(DataError::in_file(path, "", reason));
    }
    atomic_write(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        order.iter().try_for_each(|(_, array)| encode(array, out))
    })
}

/// What the `safetensors` library reads.
const LONGEST_HEADER: usize = 100_000_000;

/// The header of tensors in the order in which their elements follow. The library would write the metadata in the order of
/// a hash map, which differs from run to run.
fn header(tensors: &[(&String, &Array)], metadata: &Metadata) -> String {
    let text = |s: &str| serde_json::Value::from(s).to_string();
    let mut entries = Vec::with_capacity(tensors.len() + 1);
    if !metadata.is_empty() {
        let pairs: Vec<String> = metadata.iter().map(|(k, v)| format!("{}:{}", text(k), text(v))).collect();
        entries.push(format!("\"__metadata__\":{{{}}}", pairs.join(",")));
    }
    let mut start = 0;
    for (name, array) in tensors {
        let shape: Vec<String> = array.shape().iter().map(usize::to_string).collect();
        let end = start + array.shape().numel() * bytes_each(array);
        entries.push(format!(
            "{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{start},{end}]}}",
            text(name),
            dtype(array),
            shape.join(",")
        ));
        start = end;
    }
    let mut header = format!("{{{}}}", entries.join(","));
    // The elements start at a multiple of 8.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    header
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

fn bytes_each(array: &Array) -> usize {
    fn of<T: Stored>(_: &Tensor<T>) -> usize {
        T::BYTES
    }
    crate::stored::each!(array, t => of(t))
}

fn encode(array: &Array, out: &mut dyn Write) -> io::Result<()> {
    fn elements<T: Stored>(tensor: &Tensor<T>, out: &mut dyn Write) -> io::Result<()> {
        T::encode(tensor.contiguous().as_slice().expect("contiguous"), Endian::Little, out)
    }
    crate::stored::each!(array, t => elements(t, out))
}

fn decode(view: &TensorView<'_>) -> Result<Array, String> {
    fn shaped<T: Stored>(flat: &Tensor<T>, shape: &[usize]) -> Array {
        flat.reshape(shape).into()
    }
    let shape = view.shape();
    if checked_numel(shape).is_none() {
        return Err(format!("the shape {shape:?} is too large"));
    }
    let of = match view.dtype() {
        Dtype::F64 => ElementType::F64,
        Dtype::F32 => ElementType::F32,
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::BF16,
        Dtype::I64 => ElementType::I64,
        Dtype::I32 => ElementType::I32,
        Dtype::I16 => ElementType::I16,
        Dtype::I8 => ElementType::I8,
        Dtype::U32 => ElementType::U32,
        Dtype::U16 => ElementType::U16,
        Dtype::U8 => ElementType::U8,
        Dtype::BOOL => ElementType::Bool,
        other => {
            return Err(format!(
                "the elements are {other}, which is not read; expected BF16, F16 to F64, I8 to I64, U8 to U32 or BOOL"
            ));
        }
    };
    let flat = of.decode(view.data().to_vec(), Endian::Little);
    Ok(crate::stored::each!(flat, t => shaped(&t, shape)))
}
