//! The form of PyTorch 1.6 and later: a zip archive, its entries stored as they are.

use super::pickle::Storage;
use super::{Storages, length_of, run, tensors};
use crate::error::DataError;
use crate::limit::Budget;
use crate::stored::{Array, Endian};
use crate::zipped::{self, Checksum};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use zip::ZipArchive;

struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
    /// The folder within the archive, as in `resnet18/`.
    prefix: String,
    order: Endian,
    budget: &'a Budget,
}

pub(super) fn read(path: &Path, file: File, budget: &Budget) -> Result<BTreeMap<String, Array>, DataError> {
    let zip = zipped::open(path, "a .pth file", BufReader::new(file))?;
    let found = zip.file_names().find_map(|name| Some(name.strip_suffix("data.pkl")?.to_owned()));
    let missing = || DataError::in_file(path, "", "no entry `data.pkl`; wanted an archive that `torch.save` wrote");
    let prefix = found.ok_or_else(missing)?;
    if zip.index_for_name(&format!("{prefix}constants.pkl")).is_some() {
        return Err(DataError::in_file(
            path,
            "",
            "a TorchScript archive, which is code; wanted `torch.save(model.state_dict(), path)`",
        ));
    }
    let mut archive = Archive { path, zip, prefix, order: Endian::Little, budget };
    if archive.zip.index_for_name(&format!("{}byteorder", archive.prefix)).is_some() {
        archive.order = match &archive.entry("byteorder")?[..] {
            b"little" => Endian::Little,
            b"big" => Endian::Big,
            _ => return Err(DataError::in_file(path, "entry `byteorder`", "neither `little` nor `big`")),
        };
    }
    let bytes = archive.entry("data.pkl")?;
    let pickle = run(path, "entry `data.pkl`", 0, &bytes, budget)?;
    tensors(path, &pickle, &mut archive, budget)
}

impl Archive<'_> {
    /// All of an entry. `torch.save` packs nothing.
    fn entry(&mut self, name: &str) -> Result<Vec<u8>, DataError> {
        let whole = format!("{}{name}", self.prefix);
        zipped::stored_entry(self.path, &mut self.zip, &whole, Checksum::MayBeZero, self.budget)
    }
}

impl Storages for Archive<'_> {
    fn bytes(&mut self, storage: &Storage<'_>) -> Result<Vec<u8>, DataError> {
        let wanted = length_of(self.path, storage)?;
        let bytes = self.entry(&format!("data/{}", storage.key))?;
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
