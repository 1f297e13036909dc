//! The form of PyTorch 1.6 and later: a zip archive, its entries stored as they are.

use super::pickle::Storage;
use super::{Storages, length_of, run, tensors};
use crate::error::DataError;
use crate::source::Source;
use crate::stored::{Array, Endian};
use crate::zipped;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::{CompressionMethod, ZipArchive};

/// The pickle names tensors; a longer one would name more than a million.
const LONGEST_PICKLE: u64 = 1 << 26;

struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
    /// The folder within the archive, as in `resnet18/`.
    prefix: String,
    order: Endian,
}

pub(super) fn read(path: &Path, file: File) -> Result<BTreeMap<String, Array>, DataError> {
    let size = file.metadata().map_err(|e| DataError::io(path, "look at", e))?.len();
    let unreadable = |e| DataError::in_file(path, "", format!("not a readable zip archive: {e}"));
    let zip = zipped::open(BufReader::new(file)).map_err(unreadable)?;
    let found = zip.file_names().flatten().find_map(|name| Some(name.strip_suffix("data.pkl")?.to_owned()));
    let missing = || DataError::in_file(path, "", "no entry `data.pkl`; wanted an archive that `torch.save` wrote");
    let prefix = found.ok_or_else(missing)?;
    if zip.index_for_name(&format!("{prefix}constants.pkl")).is_some() {
        return Err(DataError::in_file(
            path,
            "",
            "a TorchScript archive, which is code; wanted `torch.save(model.state_dict(), path)`",
        ));
    }
    let mut archive = Archive { path, zip, prefix, order: Endian::Little };
    if archive.zip.index_for_name(&format!("{}byteorder", archive.prefix)).is_some() {
        archive.order = match &archive.entry("byteorder", Some(16))?[..] {
            b"little" => Endian::Little,
            b"big" => Endian::Big,
            _ => return Err(DataError::in_file(path, "entry `byteorder`", "neither `little` nor `big`")),
        };
    }
    let bytes = archive.entry("data.pkl", Some(LONGEST_PICKLE))?;
    let pickle = run(path, "entry `data.pkl`", 0, &bytes)?;
    tensors(path, &pickle, &mut archive, size)
}

impl Archive<'_> {
    /// All of an entry, if it has at most so many bytes.
    fn entry(&mut self, name: &str, most: Option<u64>) -> Result<Vec<u8>, DataError> {
        let whole = format!("{}{name}", self.prefix);
        let wrong = |reason: String| DataError::in_file(self.path, format!("entry `{whole}`"), reason);
        let entry = self.zip.by_name(&whole).map_err(|e| wrong(format!("cannot be opened: {e}")))?;
        // Unpacking could turn a small file into a large one; `torch.save` packs nothing.
        if entry.compression() != CompressionMethod::Stored {
            return Err(wrong("is compressed; wanted an entry that is stored as it is".into()));
        }
        let size = entry.size();
        if most.is_some_and(|most| size > most) {
            return Err(wrong(format!("has {size} bytes, more than is plausible")));
        }
        let mut source = Source::of_entry(self.path, &whole, Box::new(entry.take(size)));
        source.take(size, "the entry")
    }
}

impl Storages for Archive<'_> {
    fn bytes(&mut self, storage: &Storage<'_>) -> Result<Vec<u8>, DataError> {
        let wanted = length_of(self.path, storage)?;
        let bytes = self.entry(&format!("data/{}", storage.key), None)?;
        if bytes.len() as u64 != wanted {
            let reason = format!("has {} bytes; {} elements of {:?} take {wanted}", bytes.len(), storage.numel, storage.of);
            return Err(DataError::in_file(self.path, format!("storage `{}`", storage.key), reason));
        }
        Ok(bytes)
    }

    fn order(&self) -> Endian {
        self.order
    }
}
