//! Zip archives.

use std::io::{Read, Seek};
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipResult;

/// Opens an archive that fills its file from the start, as all of those here do: left to look for where the archive begins, the
/// reader fails on some sound ones.
pub(crate) fn open<R: Read + Seek>(reader: R) -> ZipResult<ZipArchive<R>> {
    ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, reader)
}
