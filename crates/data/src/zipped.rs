//! Zip archives.

use crate::error::DataError;
use crate::limit::Budget;
use flate2::Crc;
use std::io::{Read, Seek};
use std::path::Path;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipResult;
use zip::{CompressionMethod, ZipArchive};

/// Opens an archive that fills its file from the start, as all of those here do: left to look for where the archive begins, the
/// reader fails on some sound ones.
///
/// Entries that share bytes are refused: a small file could hold a large one many times over.
pub(crate) fn open<R: Read + Seek>(path: &Path, kind: &str, reader: R) -> Result<ZipArchive<R>, DataError> {
    let opened = || -> ZipResult<_> {
        let mut archive = ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, reader)?;
        let overlap = archive.has_overlapping_files()?;
        Ok((archive, overlap))
    };
    match opened() {
        Ok((archive, false)) => Ok(archive),
        Ok((_, true)) => Err(DataError::in_file(path, "", "damaged: entries of the zip archive overlap")),
        Err(e) => Err(DataError::in_file(path, "", format!("not a readable zip archive, which {kind} is: {e}"))),
    }
}

/// Whether an entry's checksum may be left out.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Checksum {
    Required,
    /// It may be 0: PyTorch writes that when it was told not to compute any.
    MayBeZero,
}

/// All of an entry that is stored as it is, held against its checksum.
pub(crate) fn stored_entry<R: Read + Seek>(
    path: &Path,
    archive: &mut ZipArchive<R>,
    name: &str,
    checksum: Checksum,
    budget: &Budget,
) -> Result<Vec<u8>, DataError> {
    let wrong = |reason: String| DataError::in_file(path, format!("entry `{name}`"), reason);
    let index = archive.index_for_name(name).ok_or_else(|| wrong("is not in the archive".into()))?;
    // The raw entry is what lies in the file: these are not packed, and the sum is checked below.
    let mut entry = archive.by_index_raw(index).map_err(|e| wrong(format!("cannot be opened: {e}")))?;
    if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
        return Err(wrong("is compressed or encrypted; expected an entry that is stored as it is".into()));
    }
    let (size, expected) = (entry.size(), entry.crc32());
    if size != entry.compressed_size() {
        return Err(wrong(format!("is stored in {} bytes, but announced with {size}", entry.compressed_size())));
    }
    budget.take(size, || format!("{size} bytes")).map_err(wrong)?;
    let mut bytes = Vec::new();
    let room = usize::try_from(size).ok().and_then(|n| bytes.try_reserve_exact(n).ok());
    room.ok_or_else(|| wrong(format!("{size} bytes do not fit into memory")))?;
    entry.read_to_end(&mut bytes).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    if bytes.len() as u64 != size {
        return Err(wrong(format!("{size} bytes are announced, but only {} follow; the file is truncated", bytes.len())));
    }
    let mut sum = Crc::new();
    sum.update(&bytes);
    if sum.sum() != expected && (checksum == Checksum::Required || expected != 0) {
        let found = sum.sum();
        return Err(wrong(format!("is damaged: its CRC-32 is {found:08x}, but {expected:08x} was stored with it")));
    }
    Ok(bytes)
}
