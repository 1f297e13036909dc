//! Arrays in HDF5 files, as Keras stores weights: `.h5`, `.weights.h5`, and `.keras`, a zip archive with one inside.
//!
//! The format is read by the crate `hdf5-reader`, which needs no C library; what it may take is bounded by the file's size.

use crate::element::ElementType;
use crate::error::DataError;
use crate::limit::{self, Budget, MemoryLimit};
use crate::source::checked_numel;
use crate::stored::{Array, Endian, Stored, each};
use crate::zipped::{self, Checksum};
use gradus_tensor::Tensor;
use hdf5_reader::error::{ByteOrder, Error};
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, Hdf5File, OpenOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;

/// Groups within groups are read down to this depth.
const DEEPEST: usize = 32;
/// Where the weights are in a `.keras` archive.
const ENTRY: &str = "model.weights.h5";

/// Reads all arrays of numbers by their paths, `model_weights/conv1/kernel`. Half precision is widened to `f32`, small
/// integers to `i32` or `i64`;
/// texts are passed over. A group with an attribute `name`, as Keras 3 writes it for a layer's `vars`,
/// is called by that: `layers/conv2d/conv1/0`. The entry of a `.keras` archive is held against its checksum.
///
/// # Errors
/// When the file cannot be read, is neither HDF5 nor a `.keras` archive, is damaged, or unpacks to more than is plausible
/// ([`read_with`]).
///
/// ```no_run
/// for (path, array) in gradus_data::hdf5::read("model.keras")? {
///     println!("{path} {}", array.shape());
/// }
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>, DataError> {
    read_with(path, MemoryLimit::default())
}

/// [`read()`] with a custom limit on the memory that it takes.
///
/// # Errors
/// As for [`read()`].
pub fn read_with(path: impl AsRef<Path>, limit: MemoryLimit) -> Result<BTreeMap<String, Array>, DataError> {
    let path = path.as_ref();
    let size = std::fs::metadata(path).map_err(|e| DataError::io(path, "read", e))?.len();
    let budget = Budget::new(limit, limit::PLAIN, size);
    budget.take(size, || format!("{size} bytes")).map_err(|e| DataError::in_file(path, "", e))?;
    let mut bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    if bytes.starts_with(b"PK") {
        let mut zip = zipped::open(path, "a .keras file", Cursor::new(&bytes))?;
        bytes = zipped::stored_entry(path, &mut zip, ENTRY, Checksum::Required, &budget)?;
    }
    let most = usize::try_from(budget.most()).unwrap_or(usize::MAX);
    let options = OpenOptions::default().with_max_read_bytes(most).with_max_chunk_bytes(most).with_chunk_cache_bytes(0);
    let damaged = |e: Error| DataError::in_file(path, "", format!("not a readable HDF5 file: {e}"));
    let file = Hdf5File::from_vec_with_options(bytes, options).map_err(damaged)?;
    let mut walk = Walk { path, entered: BTreeSet::new(), arrays: BTreeMap::new(), budget };
    walk.group(&file.root_group().map_err(damaged)?, "", 0)?;
    Ok(walk.arrays)
}

struct Walk<'a> {
    path: &'a Path,
    /// Addresses of the groups that were read: links may go in circles.
    entered: BTreeSet<u64>,
    arrays: BTreeMap<String, Array>,
    budget: Budget,
}

impl Walk<'_> {
    fn wrong(&self, place: &str, reason: impl std::fmt::Display) -> DataError {
        DataError::in_file(self.path, format!("`{place}`"), reason.to_string())
    }

    fn group(&mut self, group: &Group, prefix: &str, depth: usize) -> Result<(), DataError> {
        if depth > DEEPEST || !self.entered.insert(group.address()) {
            return Ok(());
        }
        let (groups, datasets) = group.members().map_err(|e| self.wrong(prefix, e))?;
        for dataset in datasets {
            let place = format!("{prefix}{}", dataset.name());
            if let Some(array) = self.array(&dataset, &place)? {
                self.arrays.insert(place, array);
            }
        }
        for inner in groups {
            let name = inner.attribute("name").ok().and_then(|a| a.read_string().ok());
            let name = name.filter(|n| !n.is_empty()).unwrap_or_else(|| inner.name().to_owned());
            self.group(&inner, &format!("{prefix}{name}/"), depth + 1)?;
        }
        Ok(())
    }

    /// The numbers of a data set; none for what are no numbers.
    fn array(&mut self, dataset: &Dataset, place: &str) -> Result<Option<Array>, DataError> {
        let shape: Option<Vec<usize>> = dataset.shape().iter().map(|&n| usize::try_from(n).ok()).collect();
        let numel = shape.as_deref().and_then(checked_numel);
        let (Some(shape), Some(numel)) = (shape, numel) else {
            return Err(self.wrong(place, format!("the shape {:?} is too large", dataset.shape())));
        };
        let endian = |order: ByteOrder| if order == ByteOrder::LittleEndian { Endian::Little } else { Endian::Big };
        let (of, order) = match *dataset.dtype() {
            Datatype::FloatingPoint { size, byte_order } => match size {
                8 => (ElementType::F64, endian(byte_order)),
                4 => (ElementType::F32, endian(byte_order)),
                2 => (ElementType::F16, endian(byte_order)),
                _ => return Err(self.wrong(place, format!("floats of {size} bytes are not read; expected 2, 4 or 8"))),
            },
            Datatype::FixedPoint { size, signed, byte_order } => match (size, signed) {
                (8, true) => (ElementType::I64, endian(byte_order)),
                (4, true) => (ElementType::I32, endian(byte_order)),
                (2, true) => (ElementType::I16, endian(byte_order)),
                (1, true) => (ElementType::I8, endian(byte_order)),
                (4, false) => (ElementType::U32, endian(byte_order)),
                (2, false) => (ElementType::U16, endian(byte_order)),
                (1, false) => (ElementType::U8, endian(byte_order)),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let (raw, here) = ((numel as u64).saturating_mul(of.bytes()), (numel as u64).saturating_mul(of.bytes_here()));
        let size = raw.saturating_add(here);
        self.budget.take(size, || format!("{numel} elements")).map_err(|e| self.wrong(place, e))?;
        let bytes = dataset.read_raw_bytes().map_err(|e| self.wrong(place, e))?;
        if bytes.len() as u64 != raw {
            return Err(self.wrong(place, format!("has {} bytes; the shape {shape:?} takes {raw}", bytes.len())));
        }
        let flat = of.decode(bytes, order);
        self.budget.give_back(raw);
        Ok(Some(each!(flat, t => shaped(&t, &shape))))
    }
}

fn shaped<T: Stored>(flat: &Tensor<T>, shape: &[usize]) -> Array {
    flat.reshape(shape).into()
}
