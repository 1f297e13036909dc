//! PyTorch's files of weights: `.pth` and `.pt`, as `torch.save` writes them.
//!
//! Such a file is a pickle (a program that builds Python objects) beside the raw numbers of the tensors. Here the
//! program is read by a machine that knows the few instructions and the few names that plain tensors need; it runs
//! no code, and a file that asks for anything else is refused with the name that it asked for. Both forms are read:
//! the zip archive of PyTorch 1.6 and later, and the stream of pickles from before.
//!
//! ```text
//! NAME/data.pkl       the pickle: names, shapes, strides, and the keys of storages
//! NAME/byteorder      "little" or "big"; little where there is none
//! NAME/data/KEY       a storage's elements
//! ```

mod archive;
mod names;
mod pickle;
mod stream;

use crate::error::DataError;
use crate::limit::{self, Budget, MemoryLimit};
use crate::source::checked_numel;
use crate::stored::{Array, Endian, Stored, each};
use gradus_tensor::Tensor;
use pickle::{Pickle, Refused, Storage, Value, View};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Reads the tensors of a state dictionary, by name.
///
/// Dictionaries within dictionaries, as of a checkpoint that holds an epoch's number beside the weights, are joined with
/// dots: `state_dict.fc.weight`. Half precision is widened to `f32`, small integers to
/// `i32`. Tensors that share a storage in the file share a buffer here, where their elements lie side by side.
///
/// Plain data that is no tensor is passed over: numbers, texts, `None`, bytes, sets, dates, paths, lists and tuples (with what
/// is in them), NumPy's scalars and arrays, `torch.device`, `torch.Size`, element types such as `torch.float32`, and
/// `argparse.Namespace`. Whatever else the file names, such as a user's class or a whole model, is refused by its
/// name; nothing is ever called.
///
/// Entries of the archive are held against their checksums, unless PyTorch was told not to store any
/// (`torch.serialization.set_crc32_options(False)`).
///
/// # Errors
/// When the file cannot be read, is no such file, is damaged, asks for anything but tensors and plain data, or for more
/// memory than is plausible ([`read_with`]).
///
/// ```no_run
/// let weights = gradus_data::pth::read("resnet18.pth")?;
/// for (name, array) in &weights {
///     println!("{name} {}", array.shape());
/// }
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias = "torch.load")]
pub fn read(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>, DataError> {
    read_with(path, MemoryLimit::default())
}

/// [`read()`] with a custom limit on the memory that it takes.
///
/// # Errors
/// As for [`read()`].
pub fn read_with(path: impl AsRef<Path>, limit: MemoryLimit) -> Result<BTreeMap<String, Array>, DataError> {
    let path = path.as_ref();
    let mut file = std::fs::File::open(path).map_err(|e| DataError::io(path, "open", e))?;
    let failed = |e| DataError::io(path, "read", e);
    let mut start = Vec::new();
    file.by_ref().take(4).read_to_end(&mut start).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let size = file.metadata().map_err(|e| DataError::io(path, "look at", e))?.len();
    let budget = Budget::new(limit, limit::PLAIN, size);
    if start.starts_with(b"PK") { archive::read(path, file, &budget) } else { stream::read(path, file, &budget) }
}

/// Where a storage's bytes come from, and in which order.
trait Storages {
    fn bytes(&mut self, storage: &Storage<'_>) -> Result<Vec<u8>, DataError>;
    fn order(&self) -> Endian;
}

/// The tensors that are reached from the root of a pickle, by the path of keys to them.
fn tensors(
    path: &Path,
    pickle: &Pickle<'_>,
    storages: &mut dyn Storages,
    budget: &Budget,
) -> Result<BTreeMap<String, Array>, DataError> {
    let wrong = |reason: String| DataError::in_file(path, "", reason);
    let Value::Dict(root) = pickle.root else {
        return Err(wrong(
            "the file holds no dictionary; wanted a `state_dict`, as of `torch.save(model.state_dict(), path)`".into(),
        ));
    };
    let mut reader = Reader { pickle, storages, decoded: BTreeMap::new(), budget };
    let mut found = BTreeMap::new();
    // A dictionary may be named many times, or hold itself: each is entered once, along the first path to it.
    let mut entered = vec![false; pickle.dicts.len()];
    let mut todo = vec![(root, String::new())];
    while let Some((dict, prefix)) = todo.pop() {
        if std::mem::replace(&mut entered[dict], true) {
            continue;
        }
        for (key, value) in &pickle.dicts[dict] {
            let name = match key {
                Value::Str(s) => format!("{prefix}{s}"),
                Value::Int(i) => format!("{prefix}{i}"),
                _ => continue,
            };
            // Long keys, nested deep, would add up.
            if name.len() > LONGEST_NAME {
                return Err(wrong(format!("a name of {} bytes; at most {LONGEST_NAME} are read", name.len())));
            }
            match *value {
                Value::Dict(inner) => {
                    budget.take((name.len() + ENTRY) as u64, || "the names of the tensors".into()).map_err(wrong)?;
                    todo.push((inner, name + "."));
                }
                Value::Tensor(tensor) => {
                    budget.take((name.len() + ENTRY) as u64, || "the names of the tensors".into()).map_err(wrong)?;
                    let array = reader.tensor(&pickle.tensors[tensor]).map_err(|e| match e {
                        Wrong::Tensor(reason) => DataError::in_file(path, format!("tensor `{name}`"), reason),
                        Wrong::Storage(error) => error,
                    })?;
                    found.insert(name, array);
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

const LONGEST_NAME: usize = 1024;
/// About what a name and a tensor take in memory beside the text and the elements.
const ENTRY: usize = 320;

enum Wrong {
    Tensor(String),
    Storage(DataError),
}

struct Reader<'a> {
    pickle: &'a Pickle<'a>,
    storages: &'a mut dyn Storages,
    /// Storages that were read, by key.
    decoded: BTreeMap<&'a str, (Storage<'a>, Array)>,
    budget: &'a Budget,
}

impl<'a> Reader<'a> {
    fn tensor(&mut self, view: &View) -> Result<Array, Wrong> {
        let storage = self.pickle.storages[view.storage];
        let array = match self.decoded.get(storage.key) {
            Some((known, array)) if *known == storage => array.clone(),
            Some(_) => return Err(Wrong::Tensor(format!("storage `{}` is described in two ways", storage.key))),
            None => {
                let bytes = self.storages.bytes(&storage).map_err(Wrong::Storage)?;
                let (raw, here) = (bytes.len() as u64, storage.numel * storage.of.bytes_here());
                self.budget.take(here, || format!("storage `{}`, {here} bytes", storage.key)).map_err(Wrong::Tensor)?;
                let array = storage.of.decode(bytes, self.storages.order());
                self.budget.give_back(raw);
                self.decoded.insert(storage.key, (storage, array.clone()));
                array
            }
        };
        each!(array, t => self.view(&t, view)).map_err(Wrong::Tensor)
    }

    /// The elements of a storage that a tensor sees: a view where they lie in order, otherwise a copy.
    fn view<T: Stored>(&mut self, storage: &Tensor<T>, view: &View) -> Result<Array, String> {
        let large = || format!("the shape {:?} is too large", view.shape);
        let shape: Vec<usize> = view.shape.iter().map(|&n| usize::try_from(n)).collect::<Result<_, _>>().map_err(|_| large())?;
        let numel = checked_numel(&shape).ok_or_else(large)?;
        if numel == 0 {
            return Ok(Tensor::<T>::from_vec(Vec::new(), shape).into());
        }
        let last =
            shape.iter().zip(&view.strides).try_fold(view.offset, |at, (&n, &s)| at.checked_add((n as u64 - 1).checked_mul(s)?));
        if last.is_none_or(|last| last >= storage.numel() as u64) {
            return Err(format!(
                "shape {shape:?} with strides {:?} from element {} on reaches beyond the {} elements of its storage",
                view.strides,
                view.offset,
                storage.numel()
            ));
        }
        // All indices below are less than the storage's size.
        let (start, strides) = (view.offset as usize, view.strides.iter().map(|&s| s as usize).collect::<Vec<_>>());
        if in_order(&shape, &strides) {
            return Ok(storage.slice(0, start..start + numel).reshape(&shape[..]).into());
        }
        // A small file could ask for copies of one of its storages many times.
        let size = (numel * size_of::<T>()) as u64;
        self.budget.take(size, || format!("a copy of shape {shape:?}, {size} bytes"))?;
        let values = storage.as_slice().expect("a storage lies in order");
        let mut out = Vec::with_capacity(numel);
        let mut index = vec![0; shape.len()];
        let mut at = start;
        for _ in 0..numel {
            out.push(values[at]);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                at -= strides[axis] * index[axis];
                index[axis] = 0;
            }
        }
        Ok(Tensor::from_vec(out, shape).into())
    }
}

/// Whether the elements lie side by side in row-major order.
fn in_order(shape: &[usize], strides: &[usize]) -> bool {
    let mut next = 1;
    shape.iter().zip(strides).rev().all(|(&n, &stride)| {
        let fits = n == 1 || stride == next;
        next *= n;
        fits
    })
}

/// Runs a pickle that starts at byte `from` of the file or entry at `place`.
fn run<'a>(path: &Path, place: &str, from: usize, bytes: &'a [u8], budget: &Budget) -> Result<Pickle<'a>, DataError> {
    pickle::load(bytes, budget).map_err(|Refused { at, reason }| {
        let place = if place.is_empty() { format!("byte {}", from + at) } else { format!("{place}, byte {at}") };
        DataError::in_file(path, place, reason)
    })
}

/// How many bytes a storage takes.
fn length_of(path: &Path, storage: &Storage<'_>) -> Result<u64, DataError> {
    let wrong = || DataError::in_file(path, "", format!("storage `{}` is to have {} elements", storage.key, storage.numel));
    storage.numel.checked_mul(storage.of.bytes()).ok_or_else(wrong)
}
