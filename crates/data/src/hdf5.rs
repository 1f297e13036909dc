//! Arrays in HDF5 files, as Keras stores weights: `.h5`, `.weights.h5`, and `.keras`, a zip archive with one inside.
//!
//! The format is read by the crate `hdf5-reader`, which needs no C library; what it may take is bounded by the file's size.

use crate::error::DataError;
use crate::source::{Source, checked_numel};
use crate::stored::{Array, Stored};
use crate::zipped;
use gradus_tensor::Tensor;
use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, H5Type, Hdf5File, OpenOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::path::Path;
use zip::CompressionMethod;

/// What chunks may unpack to, in sizes of the file: weights are nearly random, and hardly compress.
const MOST_RATIO: usize = 16;
/// Groups within groups are read down to this depth.
const DEEPEST: usize = 32;
/// Where the weights are in a `.keras` archive.
const ENTRY: &str = "model.weights.h5";

/// Reads all arrays of numbers by their paths, `model_weights/conv1/kernel`. Small integers are widened to `i32`;
/// texts are passed over. A group with an attribute `name`, as Keras 3 writes it for a layer's `vars`,
/// is called by that: `layers/conv2d/conv1/0`.
///
/// # Errors
/// When the file cannot be read, is neither HDF5 nor a `.keras` archive, is damaged, or unpacks to more than is plausible.
///
/// ```no_run
/// for (path, array) in gradus_data::hdf5::read("model.keras")? {
///     println!("{path} {}", array.shape());
/// }
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>, DataError> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    let bytes = if bytes.starts_with(b"PK") { entry(path, &bytes)? } else { bytes };
    let most = bytes.len().saturating_mul(MOST_RATIO).saturating_add(1 << 20);
    let options = OpenOptions::default().with_max_read_bytes(most).with_max_chunk_bytes(most).with_chunk_cache_bytes(0);
    let damaged = |e: Error| DataError::in_file(path, "", format!("not a readable HDF5 file: {e}"));
    let file = Hdf5File::from_vec_with_options(bytes, options).map_err(damaged)?;
    let mut walk = Walk { path, entered: BTreeSet::new(), arrays: BTreeMap::new(), left: most };
    walk.group(&file.root_group().map_err(damaged)?, "", 0)?;
    Ok(walk.arrays)
}

/// The HDF5 file in a `.keras` archive.
fn entry(path: &Path, archive: &[u8]) -> Result<Vec<u8>, DataError> {
    let wrong = |reason: String| DataError::in_file(path, format!("entry `{ENTRY}`"), reason);
    let mut zip = zipped::open(Cursor::new(archive))
        .map_err(|e| DataError::in_file(path, "", format!("not a readable zip archive, which a .keras file is: {e}")))?;
    let entry = zip.by_name(ENTRY).map_err(|e| wrong(format!("cannot be opened: {e}")))?;
    if entry.compression() != CompressionMethod::Stored {
        return Err(wrong("is compressed; wanted an entry that is stored as it is".into()));
    }
    let size = entry.size();
    Source::of_entry(path, ENTRY, Box::new(entry.take(size))).take(size, "the entry")
}

struct Walk<'a> {
    path: &'a Path,
    /// Addresses of the groups that were read: links may go in circles.
    entered: BTreeSet<u64>,
    arrays: BTreeMap<String, Array>,
    /// How many bytes may still be unpacked.
    left: usize,
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
        let short = || format!("the file unpacks to more than {MOST_RATIO} times its size");
        self.left = self.left.checked_sub(numel.saturating_mul(8)).ok_or_else(|| self.wrong(place, short()))?;
        let array = match *dataset.dtype() {
            Datatype::FloatingPoint { size: 4, .. } => values::<f32, f32>(dataset, &shape, |v| v),
            Datatype::FloatingPoint { size: 8, .. } => values::<f64, f64>(dataset, &shape, |v| v),
            Datatype::FixedPoint { size: 1, signed: false, .. } => values::<u8, u8>(dataset, &shape, |v| v),
            Datatype::FixedPoint { size: 1, signed: true, .. } => values::<i8, i32>(dataset, &shape, i32::from),
            Datatype::FixedPoint { size: 2, signed: true, .. } => values::<i16, i32>(dataset, &shape, i32::from),
            Datatype::FixedPoint { size: 4, signed: true, .. } => values::<i32, i32>(dataset, &shape, |v| v),
            Datatype::FixedPoint { size: 8, signed: true, .. } => values::<i64, i64>(dataset, &shape, |v| v),
            Datatype::FloatingPoint { size, .. } => Err(format!("floats of {size} bytes are not read; wanted 4 or 8")),
            _ => return Ok(None),
        };
        array.map(Some).map_err(|e| self.wrong(place, e))
    }
}

fn values<S: H5Type, T: Stored>(dataset: &Dataset, shape: &[usize], as_stored: impl Fn(S) -> T) -> Result<Array, String> {
    let array = dataset.read_array::<S>().map_err(|e| e.to_string())?;
    let tensor = Tensor::try_from_vec(array.into_iter().map(as_stored).collect(), shape);
    Ok(tensor.map_err(|e| format!("the shape does not fit the data: {e}"))?.into())
}
