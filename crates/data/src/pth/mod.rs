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
mod pickle;
mod stream;

use crate::error::DataError;
use crate::source::checked_numel;
use crate::stored::{Array, Endian, Stored};
use gradus_tensor::Tensor;
use half::{bf16, f16};
use pickle::{Pickle, Refused, Storage, Type, Value, View};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Reads the tensors of a state dictionary, by name.
///
/// Dictionaries within dictionaries, as of a checkpoint that holds an epoch's number beside the weights, are joined with
/// dots: `state_dict.fc.weight`. What is no tensor is passed over. Half precision is widened to `f32`, small integers to
/// `i32`. Tensors that share a storage in the file share a buffer here, where their elements lie side by side.
///
/// # Errors
/// When the file cannot be read, is no such file, is damaged, or asks for anything but tensors of plain numbers.
///
/// ```no_run
/// let weights = gradus_data::pth::read("resnet18.pth")?;
/// for (name, array) in &weights {
///     println!("{name} {}", array.shape());
/// }
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>, DataError> {
    let path = path.as_ref();
    let mut file = std::fs::File::open(path).map_err(|e| DataError::io(path, "open", e))?;
    let failed = |e| DataError::io(path, "read", e);
    let mut start = Vec::new();
    file.by_ref().take(4).read_to_end(&mut start).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    if start.starts_with(b"PK") { archive::read(path, file) } else { stream::read(path, file) }
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
    file_bytes: u64,
) -> Result<BTreeMap<String, Array>, DataError> {
    let wrong = |reason: String| DataError::in_file(path, "", reason);
    let Value::Dict(root) = pickle.root else {
        return Err(wrong(
            "the file holds no dictionary; wanted a `state_dict`, as of `torch.save(model.state_dict(), path)`".into(),
        ));
    };
    let mut reader = Reader { pickle, storages, decoded: BTreeMap::new(), left: 8 * file_bytes };
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
                Value::Dict(inner) => todo.push((inner, name + ".")),
                Value::Tensor(tensor) => {
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

enum Wrong {
    Tensor(String),
    Storage(DataError),
}

struct Reader<'a> {
    pickle: &'a Pickle<'a>,
    storages: &'a mut dyn Storages,
    /// Storages that were read, by key.
    decoded: BTreeMap<&'a str, (Storage<'a>, Array)>,
    /// What may still be copied out of storages: a small file could ask for one of its storages many times.
    left: u64,
}

impl<'a> Reader<'a> {
    fn tensor(&mut self, view: &View) -> Result<Array, Wrong> {
        let storage = self.pickle.storages[view.storage];
        let array = match self.decoded.get(storage.key) {
            Some((known, array)) if *known == storage => array.clone(),
            Some(_) => return Err(Wrong::Tensor(format!("storage `{}` is described in two ways", storage.key))),
            None => {
                let bytes = self.storages.bytes(&storage).map_err(Wrong::Storage)?;
                let array = decode(bytes, storage.of, self.storages.order());
                self.decoded.insert(storage.key, (storage, array.clone()));
                array
            }
        };
        match array {
            Array::F32(t) => self.view(&t, view),
            Array::F64(t) => self.view(&t, view),
            Array::I32(t) => self.view(&t, view),
            Array::I64(t) => self.view(&t, view),
            Array::U8(t) => self.view(&t, view),
            Array::Bool(t) => self.view(&t, view),
        }
        .map_err(Wrong::Tensor)
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
        self.left =
            self.left.checked_sub((numel * T::BYTES) as u64).ok_or("the tensors of this file overlap more than is plausible")?;
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

/// The elements of a storage, widened where there is no such element type here.
fn decode(bytes: Vec<u8>, of: Type, order: Endian) -> Array {
    fn flat<T: Stored>(values: Vec<T>) -> Array {
        let n = values.len();
        Tensor::from_vec(values, [n]).into()
    }
    let words = |bytes: &[u8]| -> Vec<u16> {
        let word = if order == Endian::Little { u16::from_le_bytes } else { u16::from_be_bytes };
        bytes.as_chunks().0.iter().map(|&b| word(b)).collect()
    };
    match of {
        Type::F32 => flat(f32::decode(bytes, order)),
        Type::F64 => flat(f64::decode(bytes, order)),
        Type::I64 => flat(i64::decode(bytes, order)),
        Type::I32 => flat(i32::decode(bytes, order)),
        Type::U8 => flat(bytes),
        Type::Bool => flat(bool::decode(bytes, order)),
        Type::I8 => flat(bytes.iter().map(|&b| i32::from(b.cast_signed())).collect()),
        Type::I16 => flat(words(&bytes).into_iter().map(|w| i32::from(w.cast_signed())).collect()),
        Type::F16 => flat(words(&bytes).into_iter().map(|w| f16::from_bits(w).to_f32()).collect()),
        Type::BF16 => flat(words(&bytes).into_iter().map(|w| bf16::from_bits(w).to_f32()).collect()),
    }
}

/// Runs a pickle that starts at byte `from` of the file or entry at `place`.
fn run<'a>(path: &Path, place: &str, from: usize, bytes: &'a [u8]) -> Result<Pickle<'a>, DataError> {
    pickle::load(bytes).map_err(|Refused { at, reason }| {
        let place = if place.is_empty() { format!("byte {}", from + at) } else { format!("{place}, byte {at}") };
        DataError::in_file(path, place, reason)
    })
}

/// How many bytes a storage takes.
fn length_of(path: &Path, storage: &Storage<'_>) -> Result<u64, DataError> {
    let wrong = || DataError::in_file(path, "", format!("storage `{}` is to have {} elements", storage.key, storage.numel));
    storage.numel.checked_mul(storage.of.bytes()).ok_or_else(wrong)
}
