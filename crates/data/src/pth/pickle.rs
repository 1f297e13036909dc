//! The part of Python's pickle format that describes tensors, and nothing that could run code.
//!
//! A pickle is a program for a small stack machine (<https://docs.python.org/3/library/pickletools.html>). Objects
//! are made by naming a global and calling it; here, the names are those of a fixed list, which stand for plain data.
//! Values lie in tables and name each other by number: what a hostile file nests a million deep costs no stack.

use std::collections::HashMap;

/// A value on the machine's stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of any size, little-endian.
    Long(&'a [u8]),
    Float(f64),
    Str(&'a str),
    /// A list or tuple.
    Seq(usize),
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

/// The only names that a file may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    Size,
    /// The type of a storage's elements.
    Storage(Type),
}

/// The types of elements that are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    F32,
    F64,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Type {
    pub fn bytes(self) -> u64 {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensorV2,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch", "FloatStorage") => Self::Storage(Type::F32),
            ("torch", "DoubleStorage") => Self::Storage(Type::F64),
            ("torch", "HalfStorage") => Self::Storage(Type::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Type::BF16),
            ("torch", "LongStorage") => Self::Storage(Type::I64),
            ("torch", "IntStorage") => Self::Storage(Type::I32),
            ("torch", "ShortStorage") => Self::Storage(Type::I16),
            ("torch", "CharStorage") => Self::Storage(Type::I8),
            ("torch", "ByteStorage") => Self::Storage(Type::U8),
            ("torch", "BoolStorage") => Self::Storage(Type::Bool),
            _ => return None,
        })
    }
}

/// A run of numbers that lies elsewhere in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Storage<'a> {
    pub key: &'a str,
    pub of: Type,
    pub numel: u64,
}

/// A tensor: a view of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub storage: usize,
    pub offset: u64,
    pub shape: Vec<u64>,
    pub strides: Vec<u64>,
}

/// What one pickle holds.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    pub root: Value<'a>,
    pub seqs: Vec<Vec<Value<'a>>>,
    pub dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    pub storages: Vec<Storage<'a>>,
    pub tensors: Vec<View>,
    /// How many bytes it took.
    pub length: usize,
}

/// Why a pickle is not read, and the byte where that shows.
#[derive(Debug, PartialEq)]
pub(super) struct Refused {
    pub at: usize,
    pub reason: String,
}

/// Runs the pickle at the start of `bytes`.
pub(super) fn load(bytes: &[u8]) -> Result<Pickle<'_>, Refused> {
    let mut machine = Machine { bytes, ..Machine::default() };
    loop {
        let at = machine.at;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => {
                let Machine { seqs, dicts, storages, tensors, at, .. } = machine;
                return Ok(Pickle { root, seqs, dicts, storages, tensors, length: at });
            }
            Err(reason) => return Err(Refused { at, reason }),
        }
    }
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    seqs: Vec<Vec<Value<'a>>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    storages: Vec<Storage<'a>>,
    tensors: Vec<View>,
}

type Step<T> = Result<T, String>;

impl<'a> Machine<'a> {
    /// One instruction; the result once the pickle ends.
    fn step(&mut self) -> Step<Option<Value<'a>>> {
        let [code] = self.array()?;
        match code {
            b'.' => return self.pop().map(Some),
            0x80 => drop(self.array::<1>()?),
            0x95 => drop(self.array::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'}' | b']' | b')' | b't' | 0x85..=0x87 | b'l' | b'd' | b'a' | b'e' | b's' | b'u' => self.collection(code)?,
            b'q' | b'r' | b'h' | b'j' | 0x94 => self.memory(code)?,
            b'c' | 0x93 => self.global(code)?,
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            // The state of an object: the metadata of a dictionary of weights, which holds versions of layers.
            b'b' => drop(self.pop()?),
            _ => {
                let value = self.atom(code)?;
                self.stack.push(value);
            }
        }
        Ok(None)
    }

    /// Numbers, texts and the like.
    fn atom(&mut self, code: u8) -> Step<Value<'a>> {
        Ok(match code {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Value::Int(self.array::<1>()?[0].into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a | 0x8b => {
                let n = self.length(code == 0x8a, false)?;
                let bytes = self.take(n)?;
                match n {
                    0..=8 => Value::Int(signed(bytes)),
                    _ => Value::Long(bytes),
                }
            }
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            b'X' | 0x8c | 0x8d | b'U' | b'T' => {
                let n = self.length(matches!(code, 0x8c | b'U'), code == 0x8d)?;
                let bytes = self.take(n)?;
                Value::Str(std::str::from_utf8(bytes).map_err(|_| "a text that is not UTF-8".to_string())?)
            }
            _ => {
                let code = if code.is_ascii_graphic() { format!("`{}`", code as char) } else { format!("{code:#04x}") };
                return Err(format!("the pickle instruction {code}, which a file of plain weights does not use"));
            }
        })
    }

    /// Lists, tuples and dictionaries, and what is put into them.
    fn collection(&mut self, code: u8) -> Step<()> {
        match code {
            b'}' => self.push_dict(Vec::new()),
            b']' | b')' => self.push_seq(Vec::new()),
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.push_seq(items);
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or(EMPTY)?;
                let items = self.stack.split_off(from);
                self.push_seq(items);
            }
            b'd' => {
                let items = pairs(self.since_mark()?)?;
                self.push_dict(items);
            }
            b'a' | b'e' => {
                let items = if code == b'a' { vec![self.pop()?] } else { self.since_mark()? };
                let Some(&Value::Seq(list)) = self.stack.last() else { return Err("items for what is no list".into()) };
                self.seqs[list].extend(items);
            }
            _ => {
                let items = if code == b's' {
                    let (value, key) = (self.pop()?, self.pop()?);
                    vec![key, value]
                } else {
                    self.since_mark()?
                };
                let items = pairs(items)?;
                let Some(&Value::Dict(dict)) = self.stack.last() else {
                    return Err("entries for what is no dictionary".into());
                };
                self.dicts[dict].extend(items);
            }
        }
        Ok(())
    }

    /// Values are remembered under numbers, and called back.
    fn memory(&mut self, code: u8) -> Step<()> {
        let index = match code {
            b'q' | b'h' => self.array::<1>()?[0].into(),
            0x94 => u32::try_from(self.memo.len()).map_err(|_| "too many remembered values".to_string())?,
            _ => u32::from_le_bytes(self.array()?),
        };
        if matches!(code, b'h' | b'j') {
            let value = *self.memo.get(&index).ok_or_else(|| format!("nothing is remembered under {index}"))?;
            self.stack.push(value);
        } else {
            let top = *self.stack.last().ok_or(EMPTY)?;
            self.memo.insert(index, top);
        }
        Ok(())
    }

    fn global(&mut self, code: u8) -> Step<()> {
        let (module, name) = if code == b'c' {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            let (Value::Str(module), Value::Str(name)) = (module, name) else { return Err("a name that is no text".into()) };
            (module, name)
        };
        let known = Global::find(module, name).ok_or_else(|| {
            let (module, name) = (module.escape_debug(), name.escape_debug());
            format!(
                "the file asks for `{module}.{name}`; only tensors of plain numbers are read, and no other code is known or run"
            )
        })?;
        self.stack.push(Value::Global(known));
        Ok(())
    }

    /// A persistent name, `("storage", type, key, device, numel)`.
    fn storage(&mut self) -> Step<()> {
        let id = self.pop()?;
        let Value::Seq(id) = id else { return Err("a persistent name that is no tuple".into()) };
        let [
            Value::Str("storage"),
            Value::Global(Global::Storage(of)),
            Value::Str(key),
            Value::Str(_),
            Value::Int(numel),
            rest @ ..,
        ] = &self.seqs[id][..]
        else {
            return Err("a persistent name other than that of a storage".into());
        };
        if !matches!(rest, [] | [Value::None]) {
            return Err(format!("storage `{key}` is a view of another one, as PyTorch wrote them before 0.4"));
        }
        let numel = u64::try_from(*numel).map_err(|_| format!("storage `{key}` has {numel} elements"))?;
        self.storages.push(Storage { key, of: *of, numel });
        self.stack.push(Value::Storage(self.storages.len() - 1));
        Ok(())
    }

    fn call(&mut self) -> Step<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Value::Seq(arguments), Value::Global(callee)) = (arguments, callee) else {
            return Err("a call of what is no known name".into());
        };
        let arguments = &self.seqs[arguments];
        let made = match (callee, &arguments[..]) {
            (Global::OrderedDict, []) => {
                self.push_dict(Vec::new());
                return Ok(());
            }
            (Global::Size, &[Value::Seq(sizes)]) => Value::Seq(sizes),
            (Global::RebuildParameter, &[Value::Tensor(tensor), ..]) => Value::Tensor(tensor),
            (
                Global::RebuildTensor | Global::RebuildTensorV2,
                &[Value::Storage(storage), Value::Int(offset), Value::Seq(shape), Value::Seq(strides), ..],
            ) => {
                let offset = u64::try_from(offset).map_err(|_| format!("a tensor at the offset {offset}"))?;
                let view = View { storage, offset, shape: self.sizes(shape)?, strides: self.sizes(strides)? };
                if view.shape.len() != view.strides.len() {
                    return Err(format!("a tensor of shape {:?} with strides {:?}", view.shape, view.strides));
                }
                self.tensors.push(view);
                Value::Tensor(self.tensors.len() - 1)
            }
            _ => return Err(format!("a call of {callee:?} with arguments that it does not take")),
        };
        self.stack.push(made);
        Ok(())
    }

    fn sizes(&self, seq: usize) -> Step<Vec<u64>> {
        // More axes than any tensor has: a file could name one long tuple a million times.
        if self.seqs[seq].len() > 16 {
            return Err(format!("a tensor of {} axes", self.seqs[seq].len()));
        }
        let size = |v: &Value<'_>| match v {
            Value::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        };
        self.seqs[seq].iter().map(size).collect::<Option<_>>().ok_or_else(|| "a size or stride that is no count".into())
    }

    fn push_seq(&mut self, items: Vec<Value<'a>>) {
        self.seqs.push(items);
        self.stack.push(Value::Seq(self.seqs.len() - 1));
    }

    fn push_dict(&mut self, items: Vec<(Value<'a>, Value<'a>)>) {
        self.dicts.push(items);
        self.stack.push(Value::Dict(self.dicts.len() - 1));
    }

    fn pop(&mut self) -> Step<Value<'a>> {
        self.stack.pop().ok_or(EMPTY.into())
    }

    /// What lies above the last mark.
    fn since_mark(&mut self) -> Step<Vec<Value<'a>>> {
        let mark = self.marks.pop().filter(|&m| m <= self.stack.len()).ok_or("no mark to go back to")?;
        Ok(self.stack.split_off(mark))
    }

    /// A length of 1, 4 or 8 bytes.
    fn length(&mut self, short: bool, long: bool) -> Step<usize> {
        let n = match (short, long) {
            (true, _) => self.array::<1>()?[0].into(),
            (_, true) => u64::from_le_bytes(self.array()?),
            _ => u32::from_le_bytes(self.array()?).into(),
        };
        usize::try_from(n).map_err(|_| format!("a text of {n} bytes"))
    }

    fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..n).ok_or_else(|| format!("{n} bytes are announced, but only {} follow", rest.len()))?;
        self.at += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many as asked for"))
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').ok_or("a name that does not end")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| "a name that is not UTF-8".into())
    }
}

const EMPTY: &str = "an instruction finds too little on the stack";

/// A little-endian integer of up to 8 bytes.
fn signed(bytes: &[u8]) -> i64 {
    let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xFF } else { 0 };
    let mut all = [fill; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(all)
}

fn pairs(items: Vec<Value<'_>>) -> Step<Vec<(Value<'_>, Value<'_>)>> {
    if items.len() % 2 == 1 {
        return Err("a key without a value".into());
    }
    Ok(items.chunks_exact(2).map(|p| (p[0], p[1])).collect())
}
