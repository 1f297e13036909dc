//! Named tensors in the safetensors format (<https://huggingface.co/docs/safetensors>): a header in JSON, then the elements.

use crate::element::ElementType;
use crate::error::DataError;
use crate::source::checked_numel;
use crate::stored::{Array, Endian, Stored};
use crate::write::atomic_write;
use gradus_tensor::{DType, Tensor};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
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
#[doc(alias("load_file", "safe_open"))]
pub fn read(path: impl AsRef<Path>) -> Result<(BTreeMap<String, Array>, Metadata), DataError> {
    read_file(path.as_ref())
}

fn read_file(path: &Path) -> Result<(BTreeMap<String, Array>, Metadata), DataError> {
    let file = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    let (entries, metadata, data) =
        parse(&file).map_err(|e| DataError::in_file(path, "", format!("not a whole safetensors file: {e}")))?;
    let mut tensors = BTreeMap::new();
    for entry in entries {
        let array = entry.decode(data).map_err(|e| DataError::in_file(path, format!("tensor `{}`", entry.name), e))?;
        tensors.insert(entry.name, array);
    }
    Ok((tensors, metadata))
}

/// Writes tensors by name, and metadata, as one file; [atomically](crate::atomic_write). The same tensors and metadata give
/// the same bytes.
///
/// The layout is that of the `safetensors` library: types of larger elements first, then by name.
///
/// # Errors
/// When the file cannot be written, or `metadata` and names take more than the 100 MB that a header may have.
#[doc(alias = "save_file")]
pub fn write(path: impl AsRef<Path>, tensors: &BTreeMap<String, Array>, metadata: &Metadata) -> Result<(), DataError> {
    write_file(path.as_ref(), tensors, metadata)
}

fn write_file(path: &Path, tensors: &BTreeMap<String, Array>, metadata: &Metadata) -> Result<(), DataError> {
    let mut order: Vec<(&String, &Array)> = tensors.iter().collect();
    // Stable: within a type, the names stay sorted.
    order.sort_by_key(|(_, array)| std::cmp::Reverse(rank(array)));
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

/// The longest header that the `safetensors` library reads.
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

fn dtype(array: &Array) -> &'static str {
    match array.dtype() {
        DType::F32 => "F32",
        DType::F64 => "F64",
        DType::I32 => "I32",
        DType::I64 => "I64",
        DType::U8 => "U8",
        DType::Bool => "BOOL",
    }
}

/// The place of an array's type in the library's order of types.
fn rank(array: &Array) -> u8 {
    match array.dtype() {
        DType::Bool => 0,
        DType::U8 => 1,
        DType::I32 => 2,
        DType::F32 => 3,
        DType::F64 => 4,
        DType::I64 => 5,
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

/// A tensor as the header describes it.
struct Entry {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    /// Where its elements lie, counted from the end of the header.
    range: Range<usize>,
}

/// What the name of an entry is that holds texts instead of a tensor.
const METADATA: &str = "__metadata__";

/// The entries in the order of their elements, which fill the rest of the file without gaps; the metadata; and that rest.
fn parse(file: &[u8]) -> Result<(Vec<Entry>, Metadata, &[u8]), String> {
    let (length, rest) = file.split_first_chunk().ok_or("it has fewer than 8 bytes")?;
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().filter(|n| *n <= LONGEST_HEADER).and_then(|n| rest.split_at_checked(n));
    let (header, data) =
        header.ok_or_else(|| format!("a header of {length} bytes is announced, but only {} bytes follow", rest.len()))?;
    let mut header: Map<String, Value> = serde_json::from_slice(header).map_err(|e| format!("the header: {e}"))?;
    let metadata = header.remove(METADATA).map(texts).transpose()?.unwrap_or_default();
    let mut entries = header.into_iter().map(|(name, value)| Entry::parse(name, &value)).collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(|entry| (entry.range.start, entry.range.end));
    let mut end = 0;
    for Entry { name, range, .. } in &entries {
        if range.start != end || range.end < end {
            return Err(format!("tensor `{name}` takes bytes {range:?}; expected it to start at byte {end}"));
        }
        end = range.end;
    }
    if end != data.len() {
        return Err(format!("the tensors take {end} bytes, but {} follow the header", data.len()));
    }
    Ok((entries, metadata, data))
}

fn texts(value: Value) -> Result<Metadata, String> {
    let wrong = || format!("`{METADATA}` is not an object of strings");
    let Value::Object(pairs) = value else { return Err(wrong()) };
    pairs.into_iter().map(|(k, v)| Ok((k, v.as_str().ok_or_else(wrong)?.to_owned()))).collect()
}

impl Entry {
    fn parse(name: String, value: &Value) -> Result<Self, String> {
        let numbers = |key: &str| -> Option<Vec<usize>> {
            value[key].as_array()?.iter().map(|n| usize::try_from(n.as_u64()?).ok()).collect()
        };
        let parts = (value["dtype"].as_str(), numbers("shape"), numbers("data_offsets"));
        let (Some(dtype), Some(shape), Some(offsets)) = parts else {
            return Err(format!("tensor `{name}` lacks a dtype, a shape or offsets"));
        };
        let &[start, end] = &offsets[..] else {
            return Err(format!("tensor `{name}` has {} offsets; expected 2", offsets.len()));
        };
        if let Some((of, numel)) = element_type(dtype).zip(shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size)))
            && (numel as u64).checked_mul(of.bytes()) != end.checked_sub(start).map(|n| n as u64)
        {
            return Err(format!("tensor `{name}` of shape {shape:?} and type {dtype} takes bytes {start}..{end}"));
        }
        Ok(Self { name, dtype: dtype.to_owned(), shape, range: start..end })
    }

    /// The elements, of all that follow the header.
    fn decode(&self, data: &[u8]) -> Result<Array, String> {
        fn shaped<T: Stored>(flat: &Tensor<T>, shape: &[usize]) -> Array {
            flat.reshape(shape).into()
        }
        if checked_numel(&self.shape).is_none() {
            return Err(format!("the shape {:?} is too large", self.shape));
        }
        let of = element_type(&self.dtype).ok_or_else(|| {
            format!("the elements are {}, which is not read; expected BF16, F16 to F64, I8 to I64, U8 to U32 or BOOL", self.dtype)
        })?;
        let flat = of.decode(data[self.range.clone()].to_vec(), Endian::Little);
        Ok(crate::stored::each!(flat, t => shaped(&t, &self.shape)))
    }
}

fn element_type(dtype: &str) -> Option<ElementType> {
    Some(match dtype {
        "F64" => ElementType::F64,
        "F32" => ElementType::F32,
        "F16" => ElementType::F16,
        "BF16" => ElementType::BF16,
        "I64" => ElementType::I64,
        "I32" => ElementType::I32,
        "I16" => ElementType::I16,
        "I8" => ElementType::I8,
        "U32" => ElementType::U32,
        "U16" => ElementType::U16,
        "U8" => ElementType::U8,
        "BOOL" => ElementType::Bool,
        _ => return None,
    })
}
