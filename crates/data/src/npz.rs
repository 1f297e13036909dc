//! NumPy's archives of named arrays: `.npz`, as `np.savez` and `np.savez_compressed` write them.
//!
//! An archive is a zip file with an entry `NAME.npy` for each array.

use crate::error::DataError;
use crate::limit::{self, Budget, MemoryLimit};
use crate::npy;
use crate::source::Source;
use crate::stored::{Array, Stored};
use crate::write::atomic_write;
use crate::zipped;
use gradus_tensor::Tensor;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// An open archive, from which arrays are read one by one.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("x.npz");
/// use gradus_data::npz::{self, Npz};
/// use gradus_tensor::Tensor;
/// let (x, y) = (Tensor::from([[1.0f32, 2.0]]), Tensor::from([1i64]));
/// npz::write(&path, [("x", (&x).into()), ("y", (&y).into())])?;
/// let mut file = Npz::open(&path)?;
/// assert_eq!(file.names(), ["x", "y"]);
/// assert_eq!(file.read::<f32>("x")?, x);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub struct Npz {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    /// The arrays' names, and where they stand in the archive.
    entries: BTreeMap<String, usize>,
    /// The file's size in bytes.
    size: u64,
    limit: MemoryLimit,
}

impl Npz {
    /// Opens an archive and reads its table of contents.
    ///
    /// # Errors
    /// When the file cannot be read, is no zip file, or has entries that overlap.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::open_with(path, MemoryLimit::default())
    }

    /// [`open`](Self::open) with a custom limit on the memory that reading takes.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, limit: MemoryLimit) -> Result<Self, DataError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| DataError::io(path, "open", e))?;
        let size = file.metadata().map_err(|e| DataError::io(path, "look at", e))?.len();
        let archive = zipped::open(path, "an .npz file", BufReader::new(file))?;
        let entries =
            (0..archive.len()).filter_map(|i| Some((archive.name_for_index(i)?.strip_suffix(".npy")?.to_owned(), i))).collect();
        Ok(Self { path: path.to_owned(), archive, entries, size, limit })
    }

    /// The names of the arrays, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// Reads an array whose elements are of type `T`.
    ///
    /// # Errors
    /// When there is no such array, it is damaged, or its elements are of another type.
    pub fn read<T: Stored>(&mut self, name: &str) -> Result<Tensor<T>, DataError> {
        let array = self.read_any(name)?;
        npy::expect(&array, &self.path, &format!("entry `{name}`"))
    }

    /// Reads an array of any element type. The entry is held against its checksum.
    ///
    /// # Errors
    /// When there is no such array, it is damaged, or unpacks to more than is plausible.
    pub fn read_any(&mut self, name: &str) -> Result<Array, DataError> {
        let budget = self.budget();
        self.read_within(name, &budget)
    }

    /// Reads all arrays, which share one limit of memory.
    ///
    /// # Errors
    /// When one is damaged, or all together unpack to more than is plausible.
    pub fn read_all(&mut self) -> Result<BTreeMap<String, Array>, DataError> {
        let budget = self.budget();
        let names: Vec<String> = self.entries.keys().cloned().collect();
        names.into_iter().map(|name| self.read_within(&name, &budget).map(|array| (name, array))).collect()
    }

    fn budget(&self) -> Budget {
        Budget::new(self.limit, limit::COMPRESSED, self.size)
    }

    fn read_within(&mut self, name: &str, budget: &Budget) -> Result<Array, DataError> {
        let Some(&index) = self.entries.get(name) else {
            let there = self.names().join(", ");
            return Err(DataError::in_file(&self.path, "", format!("there is no array `{name}`; there are: {there}")));
        };
        let wrong = |e| DataError::in_file(&self.path, format!("entry `{name}`"), format!("cannot be unpacked: {e}"));
        let entry = self.archive.by_index(index).map_err(wrong)?;
        npy::parse(Source::of_entry(&self.path, name, Box::new(entry), budget.clone()))
    }
}

/// Writes named arrays, uncompressed as `np.savez` does; [atomically](crate::atomic_write). The same arrays
/// give the same bytes.
///
/// # Errors
/// When the file cannot be written, or a name occurs twice.
#[doc(alias = "savez")]
pub fn write<N: AsRef<str>>(path: impl AsRef<Path>, arrays: impl IntoIterator<Item = (N, Array)>) -> Result<(), DataError> {
    atomic_write(path, |file| {
        let mut archive = ZipWriter::new(file);
        for (name, array) in arrays {
            // Beyond 4 GiB an entry needs 64-bit sizes; 8 bytes an element and the header bound it.
            let large = array.shape().numel() as u64 * 8 + (1 << 17) > u64::from(u32::MAX);
            let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(large);
            archive.start_file(format!("{}.npy", name.as_ref()), options).map_err(io::Error::from)?;
            npy::emit(&array, &mut archive)?;
        }
        archive.finish().map_err(io::Error::from).map(drop)
    })
}
