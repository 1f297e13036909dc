//! IDX files, the format of MNIST: a magic number, big-endian sizes, and the elements in row-major order.
//!
//! ```text
//! 0   u8   0
//! 1   u8   0
//! 2   u8   element type: 8 = u8, 9 = i8, 0x0B = i16, 0x0C = i32, 0x0D = f32, 0x0E = f64
//! 3   u8   number of axes
//! 4   u32  the size of each axis, big-endian
//!          the elements, big-endian
//! ```
//! The format is described at <http://yann.lecun.com/exdb/mnist/>.

use crate::element::ElementType;
use crate::error::DataError;
use crate::gzip;
use crate::limit::MemoryLimit;
use crate::source::{Source, checked_numel};
use crate::stored::{Endian, Stored, type_name};
use crate::write::atomic_write;
use gradus_tensor::{Shape, Tensor};
use std::io::{self, Write};
use std::path::Path;

/// An element type that IDX files can hold and tensors as well: `u8`, `i32`, `f32` and `f64`.
pub trait IdxElement: Stored {
    /// The type's number in the header.
    const CODE: u8;
}

impl IdxElement for u8 {
    const CODE: u8 = 0x08;
}
impl IdxElement for i32 {
    const CODE: u8 = 0x0C;
}
impl IdxElement for f32 {
    const CODE: u8 = 0x0D;
}
impl IdxElement for f64 {
    const CODE: u8 = 0x0E;
}

/// Reads a file, plain or, with the feature `gzip`, gzipped, whose elements are of type `T`.
///
/// # Errors
/// When the file cannot be read, is no IDX file, holds another element type, is shorter or longer
/// than its header says, or unpacks to more than is plausible ([`read_with`]).
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("x.idx");
/// use gradus_data::idx;
/// use gradus_tensor::Tensor;
/// let x = Tensor::from([[1, 2], [3, 4]]);
/// idx::write(&path, &x)?;
/// assert_eq!(idx::read::<i32>(&path)?, x);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn read<T: IdxElement>(path: impl AsRef<Path>) -> Result<Tensor<T>, DataError> {
    read_with(path, MemoryLimit::default())
}

/// [`read()`] with a custom limit on the memory that it takes.
///
/// # Errors
/// As for [`read()`].
pub fn read_with<T: IdxElement>(path: impl AsRef<Path>, limit: MemoryLimit) -> Result<Tensor<T>, DataError> {
    parse(Source::open(path.as_ref(), limit)?)
}

/// The tensor in the `bytes` of a file that is in memory, which `path` names in messages.
#[cfg(feature = "mnist")]
pub(crate) fn read_bytes<T: IdxElement>(path: &Path, bytes: &[u8]) -> Result<Tensor<T>, DataError> {
    parse(Source::of_bytes(path, bytes, MemoryLimit::default())?)
}

fn parse<T: IdxElement>(mut source: Source<'_>) -> Result<Tensor<T>, DataError> {
    let [zero, zero_too, code, rank] = source.array("the magic number")?;
    if [zero, zero_too] != [0, 0] {
        return Err(
            source.error_at(0, format!("not an IDX file: it starts with {zero:#04x} {zero_too:#04x}; wanted two zero bytes"))
        );
    }
    if code != T::CODE {
        let wanted = format!("wanted {:#04x}, which is {}", T::CODE, type_name(T::DTYPE));
        return Err(source.error_at(2, format!("the element type is {code:#04x}{}; {wanted}", name_of(code))));
    }
    let mut shape = Shape::default();
    for axis in 0..rank {
        let size = u32::from_be_bytes(source.array(&format!("the size of axis {axis}"))?);
        shape.push(size as usize);
    }
    let numel =
        checked_numel(&shape).ok_or_else(|| source.error_at(4, format!("the shape {shape} is too large for any memory")))?;
    let data = source.elements(ElementType::of(T::DTYPE), numel, Endian::Big, &format!("the elements of shape {shape}"))?;
    source.finish()?;
    Ok(data.get::<T>().expect("the type that was asked for").reshape(shape))
}

fn name_of(code: u8) -> &'static str {
    match code {
        0x08 => " (u8)",
        0x09 => " (i8)",
        0x0B => " (i16)",
        0x0C => " (i32)",
        0x0D => " (f32)",
        0x0E => " (f64)",
        _ => ", which no IDX file has",
    }
}

/// Writes a tensor, gzipped if the path ends in `.gz` (with the feature `gzip`); [atomically](crate::atomic_write).
///
/// # Errors
/// When the file cannot be written, or the tensor has more than 255 axes or an axis of 2³² or more.
pub fn write<T: IdxElement>(path: impl AsRef<Path>, tensor: &Tensor<T>) -> Result<(), DataError> {
    let path = path.as_ref();
    let header = header(tensor).map_err(|reason| DataError::in_file(path, "", reason))?;
    let tensor = tensor.contiguous();
    let data = tensor.as_slice().expect("contiguous");
    let content = |out: &mut dyn Write| -> io::Result<()> {
        out.write_all(&header)?;
        T::encode(data, Endian::Big, out)
    };
    atomic_write(
        path,
        |file| {
            if path.extension().is_some_and(|e| e == "gz") { gzip::write(file, content) } else { content(file) }
        },
    )
}

fn header<T: IdxElement>(tensor: &Tensor<T>) -> Result<Vec<u8>, String> {
    let shape = tensor.shape();
    let rank = u8::try_from(shape.rank()).map_err(|_| format!("{} axes; an IDX file has at most 255", shape.rank()))?;
    let mut header = vec![0, 0, T::CODE, rank];
    for &n in shape.iter() {
        let size = u32::try_from(n).map_err(|_| format!("shape {shape}: an axis of an IDX file is shorter than 2^32"))?;
        header.extend(size.to_be_bytes());
    }
    Ok(header)
}
