//! The form before PyTorch 1.6: pickles one after the other, then the storages.
//!
//! ```text
//! 0x1950a86a20f9469cfc6c      a magic number
//! 1001                        the protocol's version
//! {'little_endian': True, ..} about the machine that wrote it
//! the weights, with storages named by key
//! ['key', ..]                 the order in which the storages follow
//! u64, then the elements      of each storage
//! ```

use super::pickle::{Storage, Value};
use super::{Storages, length_of, run, tensors};
use crate::error::DataError;
use crate::limit::Budget;
use crate::stored::{Array, Endian};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// `0x1950a86a20f9469cfc6c`, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;

struct Stream<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    /// Where each storage starts, and how many elements it has.
    places: HashMap<&'a str, (usize, u64)>,
    order: Endian,
    budget: &'a Budget,
}

pub(super) fn read(path: &Path, mut file: File, budget: &Budget) -> Result<BTreeMap<String, Array>, DataError> {
    let size = file.metadata().map_err(|e| DataError::io(path, "look at", e))?.len();
    budget.take(size, || format!("{size} bytes")).map_err(|e| DataError::in_file(path, "", e))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|e| DataError::io(path, "read", e))?;
    let foreign = || {
        DataError::in_file(
            path,
            "",
            "not a file of PyTorch: neither a zip archive nor a stream of pickles that starts with its magic number",
        )
    };
    let magic = run(path, "", 0, &bytes, budget).map_err(|_| foreign())?;
    if magic.root != Value::Long(&MAGIC) {
        return Err(foreign());
    }
    let mut at = magic.length;
    let bytes = &bytes[..];
    let next = |at: &mut usize| -> Result<_, DataError> {
        let pickle = run(path, "", *at, &bytes[*at..], budget)?;
        *at += pickle.length;
        Ok(pickle)
    };
    let version = next(&mut at)?.root;
    if version != Value::Int(VERSION) {
        return Err(DataError::in_file(path, "", format!("version {version:?} of the format; wanted {VERSION}")));
    }
    let machine = next(&mut at)?;
    let Value::Dict(about) = machine.root else { return Err(foreign()) };
    let big = machine.dicts[about].contains(&(Value::Str("little_endian"), Value::Bool(false)));
    let (weights, keys) = (next(&mut at)?, next(&mut at)?);
    let Value::Seq(list) = keys.root else {
        return Err(DataError::in_file(path, "", "no list of storages follows the weights"));
    };
    let sizes: HashMap<&str, u64> = weights.storages.iter().map(|s| (s.key, s.of.bytes())).collect();
    let order = if big { Endian::Big } else { Endian::Little };
    let mut stream = Stream { path, bytes, places: HashMap::new(), order, budget };
    for key in &keys.seqs[list] {
        let Value::Str(key) = *key else { continue };
        at = stream.place(key, at, sizes.get(key).copied())?;
    }
    tensors(path, &weights, &mut stream, budget)
}

impl<'a> Stream<'a> {
    /// Notes the storage that starts at a byte; where it ends.
    fn place(&mut self, key: &'a str, at: usize, element: Option<u64>) -> Result<usize, DataError> {
        let wrong = |reason: String| DataError::in_file(self.path, format!("byte {at}"), reason);
        let element = element.ok_or_else(|| wrong(format!("storage `{key}` belongs to no tensor, so its size is unknown")))?;
        let head = self.bytes.get(at..at.saturating_add(8)).and_then(|b| b.try_into().ok());
        let numel = head.map(u64::from_le_bytes).ok_or_else(|| wrong(format!("the file ends before storage `{key}`")))?;
        let end = numel.checked_mul(element).and_then(|n| usize::try_from(n).ok()?.checked_add(at + 8));
        let end = end.filter(|&end| end <= self.bytes.len());
        let short = || wrong(format!("storage `{key}` is to have {numel} elements of {element} bytes, more than follow"));
        let end = end.ok_or_else(short)?;
        self.places.insert(key, (at + 8, numel));
        Ok(end)
    }
}

impl Storages for Stream<'_> {
    fn bytes(&mut self, storage: &Storage<'_>) -> Result<Vec<u8>, DataError> {
        let wrong = |reason: String| DataError::in_file(self.path, format!("storage `{}`", storage.key), reason);
        let &(at, numel) = self.places.get(storage.key).ok_or_else(|| wrong("is not in the file".into()))?;
        if numel != storage.numel {
            return Err(wrong(format!("has {numel} elements; {} were announced", storage.numel)));
        }
        // `place` has found that many bytes to be there.
        let length = length_of(self.path, storage)? as usize;
        let bytes = self.bytes.get(at..at + length).ok_or_else(|| wrong("is described in two ways".into()))?;
        self.budget.take(length as u64, || format!("{length} bytes")).map_err(wrong)?;
        Ok(bytes.to_vec())
    }

    fn order(&self) -> Endian {
        self.order
    }
}
