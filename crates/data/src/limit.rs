//! How much memory the reading of a file may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most memory that reading one file may take, its result included.
///
/// A small file can claim, or unpack to, a large amount of data: a blank image, an archive of zeros, a pickle that names one
/// storage a thousand times. Readers of such formats count what they take, over the whole of a file, and stop with an error
/// where that is no longer plausible. (Safetensors, CIFAR and tables of text cannot unpack: they take a small multiple of the
/// file's size.)
///
/// | file | the default is |
/// |---|---|
/// | images | 512 MiB and 64 bytes for each byte of the file |
/// | gzipped files, compressed entries of `.npz` | 64 MiB and 64 bytes for each byte |
/// | `.pth`, HDF5 and `.keras`, plain `.npy` and IDX | 1 MiB and 64 bytes for each byte |
///
/// A file that is trusted and larger is read with another limit, by the functions that end in `_with`:
///
/// ```
/// # #[cfg(feature = "images")] {
/// use gradus_data::{MemoryLimit, read_image_with};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("scan.png");
/// # assert!(read_image_with(&path, MemoryLimit::default()).is_err());
/// let scan = read_image_with(&path, MemoryLimit::bytes(4 << 30));
/// # assert!(scan.is_err());
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryLimit(Option<u64>);

impl MemoryLimit {
    /// At most so many bytes for a file, whatever its size.
    pub const fn bytes(most: u64) -> Self {
        Self(Some(most))
    }

    /// As much as the file asks for.
    pub const fn unlimited() -> Self {
        Self(Some(u64::MAX))
    }
}

/// What is plausible for a kind of file: so many bytes whatever its size, and so many for each of its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Plausible {
    floor: u64,
    each: u64,
}

/// A blank page of 40 million pixels takes few bytes.
#[cfg(feature = "images")]
pub(crate) const IMAGE: Plausible = Plausible { floor: 512 << 20, each: 64 };
/// Arrays of zeros unpack to a thousand times their size.
pub(crate) const COMPRESSED: Plausible = Plausible { floor: 64 << 20, each: 64 };
/// A byte of a pickle can become a value in memory.
pub(crate) const PLAIN: Plausible = Plausible { floor: 1 << 20, each: 64 };

/// What is left of a file's memory. Clones share it.
#[derive(Clone)]
pub(crate) struct Budget {
    left: Arc<AtomicU64>,
    most: u64,
}

impl Budget {
    pub fn new(limit: MemoryLimit, plausible: Plausible, file_bytes: u64) -> Self {
        let most = limit.0.unwrap_or_else(|| plausible.floor.saturating_add(plausible.each.saturating_mul(file_bytes)));
        Self { left: Arc::new(AtomicU64::new(most)), most }
    }

    /// How many bytes may be taken in all.
    #[cfg(any(feature = "hdf5", feature = "images"))]
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Takes `bytes` for `what`, or says that they are too many.
    pub fn take(&self, bytes: u64, what: impl FnOnce() -> String) -> Result<(), String> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| {
            format!(
                "{}: reading this file takes more than the {} bytes of memory that its limit allows; if it is to be trusted, \
                 raise the limit with `MemoryLimit::bytes`",
                what(),
                self.most
            )
        })
    }

    /// Gives back what was taken for a while only.
    pub fn give_back(&self, bytes: u64) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}
