//! NumPy's array files: `.npy`, as `np.save` writes them.
//!
//! ```text
//! 0   \x93NUMPY, then the version as two bytes: 1.0, 2.0 or 3.0
//! 8   the header's length, little-endian: u16 in version 1.0, u32 after
//!     the header, such as {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
//!     the elements
//! ```
//! The format is described at <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//! Written are `f32`, `f64`, `i32`, `i64`, `u8` and `bool`. Read are these and `float16`, which is widened to `f32`, `int8`,
//! `int16` and `uint16`, which become `i32`, and `uint32`, which becomes `i64`; in either byte order and either memory order.

mod header;

use crate::error::DataError;
use crate::limit::MemoryLimit;
use crate::source::{Source, checked_numel};
use crate::stored::{Array, Endian, Stored, each, type_name};
use crate::write::atomic_write;
use gradus_tensor::{Shape, Tensor};
use header::Header;
use std::io::{self, Write};
use std::path::Path;

const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// Longer headers than this belong to records with many fields, which are not read.
const LONGEST_HEADER: u64 = 1 << 16;

/// Reads a file whose elements are of type `T`.
///
/// # Errors
/// When the file cannot be read, is no array file, is shorter or longer than its header says, holds
/// elements of another type, or unpacks to more than is plausible; [`read_any`] reads all types.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("x.npy");
/// use gradus_data::npy;
/// use gradus_tensor::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// npy::write(&path, &x)?;
/// assert_eq!(npy::read::<f32>(&path)?, x);
/// assert!(npy::read::<i64>(&path).unwrap_err().to_string().contains("the elements are f32"));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias("from_numpy", "np.load"))]
pub fn read<T: Stored>(path: impl AsRef<Path>) -> Result<Tensor<T>, DataError> {
    expect(&read_any(&path)?, path.as_ref(), "")
}

/// Reads a file of any element type.
///
/// # Errors
/// As for [`read()`].
pub fn read_any(path: impl AsRef<Path>) -> Result<Array, DataError> {
    read_any_with(path, MemoryLimit::default())
}

/// [`read_any`] with a custom limit on the memory that it takes.
///
/// # Errors
/// As for [`read()`].
pub fn read_any_with(path: impl AsRef<Path>, limit: MemoryLimit) -> Result<Array, DataError> {
    parse(Source::open(path.as_ref(), limit)?)
}

/// Writes an array; [atomically](crate::atomic_write).
///
/// # Errors
/// When the file cannot be written.
#[doc(alias = "np.save")]
pub fn write(path: impl AsRef<Path>, array: impl Into<Array>) -> Result<(), DataError> {
    let array = array.into();
    atomic_write(path, |file| emit(&array, file))
}

/// The tensor of type `T` inside `array`, which came from `place` in the file `path`.
pub(crate) fn expect<T: Stored>(array: &Array, path: &Path, place: &str) -> Result<Tensor<T>, DataError> {
    array.get().ok_or_else(|| {
        let (is, wanted) = (type_name(array.dtype()), type_name(T::DTYPE));
        DataError::in_file(path, place, format!("the elements are {is}; wanted {wanted} (read as {is}, then convert)"))
    })
}

pub(crate) fn parse(mut source: Source<'_>) -> Result<Array, DataError> {
    let magic: [u8; 6] = source.array("the magic number")?;
    if magic != MAGIC {
        return Err(source.error_at(0, "not an array file of NumPy: it does not start with \\x93NUMPY"));
    }
    let version: [u8; 2] = source.array("the version")?;
    let length = match version {
        [1, 0] => u64::from(u16::from_le_bytes(source.array("the header's length")?)),
        [2 | 3, 0] => u64::from(u32::from_le_bytes(source.array("the header's length")?)),
        [major, minor] => return Err(source.error_at(6, format!("version {major}.{minor}; known are 1.0, 2.0 and 3.0"))),
    };
    if length > LONGEST_HEADER {
        return Err(source.error_at(8, format!("a header of {length} bytes; at most {LONGEST_HEADER} are read")));
    }
    let start = source.at();
    let text = source.take(length, "the header")?;
    let header = Header::parse(&text).map_err(|(at, reason)| source.error_at(start + at as u64, reason))?;
    let Header { of, order, fortran, shape } = header;
    let numel = checked_numel(&shape)
        .ok_or_else(|| source.error_at(source.at(), format!("the shape {shape} is too large for any memory")))?;
    let what = format!("the elements of shape {shape}");
    let flat = source.elements(of, numel, order, &what)?;
    if fortran {
        source.count(numel as u64 * of.bytes_here(), &what)?;
    }
    source.finish()?;
    Ok(each!(flat, t => shaped(&t, shape, fortran)))
}

fn shaped<T: Stored>(flat: &Tensor<T>, shape: Shape, fortran: bool) -> Array {
    if !fortran {
        return flat.reshape(shape).into();
    }
    // The first index runs fastest: row-major under the reversed shape.
    let reversed: Shape = shape.iter().rev().copied().collect();
    let axes: Vec<usize> = (0..shape.rank()).rev().collect();
    flat.reshape(reversed).permute(axes).contiguous().into()
}

/// Writes an array in version 1.0, byte for byte as `np.save` does.
pub(crate) fn emit(array: &Array, mut out: &mut dyn Write) -> io::Result<()> {
    let text = header::text(array.dtype(), array.shape());
    let length =
        u16::try_from(text.len()).map_err(|_| io::Error::other("the shape has too many axes for a header of version 1.0"))?;
    out.write_all(&MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    each!(array, tensor => encode(tensor, &mut out))
}

fn encode<T: Stored>(tensor: &Tensor<T>, out: &mut dyn Write) -> io::Result<()> {
    let tensor = tensor.contiguous();
    T::encode(tensor.as_slice().expect("contiguous"), Endian::Little, out)
}
