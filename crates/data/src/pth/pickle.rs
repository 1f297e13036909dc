//! The part of Python's pickle format that describes tensors, and nothing that could run code.
//!
//! A pickle is a program for a small stack machine (<https://docs.python.org/3/library/pickletools.html>). Objects
//! are made by naming a global and calling it; here, the names are those of a fixed list, which stand for plain data.
//! Values lie in tables and name each other by number: what a hostile file nests a million deep costs no stack.

use super::names::Global;
use crate::element::ElementType;
use crate::limit::Budget;

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
    /// Plain data of another kind, which is passed over: a device, a set, bytes.
    Other,
}

/// A run of numbers that lies elsewhere in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Storage<'a> {
    pub key: &'a str,
    pub of: ElementType,
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

/// Runs the pickle at the start of `bytes`; what it makes is counted in `budget`.
pub(super) fn load<'a>(bytes: &'a [u8], budget: &Budget) -> Result<Pickle<'a>, Refused> {
    let mut machine = Machine {
        bytes,
        at: 0,
        budget,
        stack: Vec::new(),
        deepest: 0,
        marks: Vec::new(),
        memo: Vec::new(),
        seqs: Vec::new(),
        dicts: Vec::new(),
        storages: Vec::new(),
        tensors: Vec::new(),
    };
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

struct Machine<'a, 'b> {
    bytes: &'a [u8],
    at: usize,
    budget: &'b Budget,
    stack: Vec<Value<'a>>,
    /// The largest that the stack has been, in values.
    deepest: usize,
    marks: Vec<usize>,
    memo: Vec<Option<Value<'a>>>,
    seqs: Vec<Vec<Value<'a>>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    storages: Vec<Storage<'a>>,
    tensors: Vec<View>,
}

/// Growing vectors have up to twice the room that they need.
const SPARE: usize = 2;

type Step<T> = Result<T, String>;

impl<'a> Machine<'a, '_> {
    /// One instruction; the result once the pickle ends.
    fn step(&mut self) -> Step<Option<Value<'a>>> {
        let [code] = self.array()?;
        match code {
            b'.' => return self.pop().map(Some),
            0x80 => drop(self.array::<1>()?),
            0x95 => drop(self.array::<8>()?),
            b'(' => {
                self.count(SPARE * size_of::<usize>())?;
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'}' | b']' | b')' | b't' | 0x85..=0x87 | b'l' | b'd' | b'a' | b'e' | b's' | b'u' => self.collection(code)?,
            0x8f..=0x91 => self.set(code)?,
            0x81 | 0x92 => self.object(code)?,
            b'q' | b'r' | b'h' | b'j' | 0x94 => self.memory(code)?,
            b'c' | 0x93 => self.global(code)?,
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            // The state of an object: the metadata of a dictionary of weights, which holds versions of layers.
            b'b' => drop(self.pop()?),
            _ => {
                let value = self.atom(code)?;
                self.push(value)?;
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
                match std::str::from_utf8(bytes) {
                    Ok(text) => Value::Str(text),
                    // Python 2's texts may be bytes.
                    Err(_) if matches!(code, b'U' | b'T') => Value::Other,
                    Err(_) => return Err("a text that is not UTF-8".into()),
                }
            }
            // Bytes.
            b'C' | b'B' | 0x8e | 0x96 => {
                let n = self.length(code == b'C', matches!(code, 0x8e | 0x96))?;
                self.take(n)?;
                Value::Other
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
                self.push_seq(items)
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or(EMPTY)?;
                let items = self.stack.split_off(from);
                self.push_seq(items)
            }
            b'd' => {
                let items = pairs(self.since_mark()?)?;
                self.push_dict(items)
            }
            b'a' | b'e' => {
                let items = if code == b'a' { vec![self.pop()?] } else { self.since_mark()? };
                self.count(SPARE * size_of_val(&items[..]))?;
                match self.stack.last() {
                    Some(&Value::Seq(list)) => self.seqs[list].extend(items),
                    Some(Value::Other) => {}
                    _ => return Err("items for what is no list".into()),
                }
                Ok(())
            }
            _ => {
                let items = if code == b's' {
                    let (value, key) = (self.pop()?, self.pop()?);
                    vec![key, value]
                } else {
                    self.since_mark()?
                };
                self.count(SPARE * size_of_val(&items[..]))?;
                let items = pairs(items)?;
                match self.stack.last() {
                    Some(&Value::Dict(dict)) => self.dicts[dict].extend(items),
                    Some(Value::Other) => {}
                    _ => return Err("entries for what is no dictionary".into()),
                }
                Ok(())
            }
        }
    }

    /// Sets, whose items are passed over.
    fn set(&mut self, code: u8) -> Step<()> {
        match code {
            0x8f => self.push(Value::Other),
            0x91 => {
                self.since_mark()?;
                self.push(Value::Other)
            }
            _ => {
                self.since_mark()?;
                if self.stack.last() == Some(&Value::Other) { Ok(()) } else { Err("items for what is no set".into()) }
            }
        }
    }

    /// An object of a class, made without calling it: of plain data, or not known.
    fn object(&mut self, code: u8) -> Step<()> {
        if code == 0x92 {
            self.pop()?;
        }
        let (_arguments, class) = (self.pop()?, self.pop()?);
        match class {
            Value::Global(Global::Plain) => self.push(Value::Other),
            _ => Err("an object of what is no known class".into()),
        }
    }

    /// Values are remembered under numbers, and called back.
    fn memory(&mut self, code: u8) -> Step<()> {
        let index = match code {
            b'q' | b'h' => self.array::<1>()?[0].into(),
            0x94 => self.memo.len(),
            _ => u32::from_le_bytes(self.array()?) as usize,
        };
        if matches!(code, b'h' | b'j') {
            let value = self.memo.get(index).copied().flatten().ok_or_else(|| format!("nothing is remembered under {index}"))?;
            return self.push(value);
        }
        let top = *self.stack.last().ok_or(EMPTY)?;
        // Pickles number what they remember from 0 or 1 on.
        if index > self.bytes.len() {
            return Err(format!("a value is remembered under {index}, more than this pickle has bytes"));
        }
        if index >= self.memo.len() {
            self.count(SPARE * (index + 1 - self.memo.len()) * size_of::<Option<Value<'_>>>())?;
            self.memo.resize(index + 1, None);
        }
        self.memo[index] = Some(top);
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
        self.push(Value::Global(known))
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
        let storage = Storage { key, of: *of, numel };
        self.count(SPARE * size_of::<Storage<'_>>())?;
        self.storages.push(storage);
        self.push(Value::Storage(self.storages.len() - 1))
    }

    fn call(&mut self) -> Step<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Value::Seq(arguments), Value::Global(callee)) = (arguments, callee) else {
            return Err("a call of what is no known name".into());
        };
        let arguments = &self.seqs[arguments];
        let made = match (callee, &arguments[..]) {
            (Global::OrderedDict, []) | (Global::DefaultDict, [] | [Value::None | Value::Global(Global::Plain)]) => {
                return self.push_dict(Vec::new());
            }
            // Python 2 hands over a list of pairs.
            (Global::OrderedDict, &[Value::Seq(items)]) => {
                self.count(SPARE * self.seqs[items].len() * size_of::<(Value<'_>, Value<'_>)>())?;
                let pair = |item: &Value<'a>| match *item {
                    Value::Seq(pair) => match self.seqs[pair][..] {
                        [key, value] => Some((key, value)),
                        _ => None,
                    },
                    _ => None,
                };
                let items = self.seqs[items].iter().map(pair).collect::<Option<_>>();
                return self.push_dict(items.ok_or("a dictionary of what are no pairs")?);
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
                // An allocation takes some bytes by itself.
                self.count(SPARE * size_of::<View>() + 2 * (16 + view.shape.len() * size_of::<u64>()))?;
                self.tensors.push(view);
                Value::Tensor(self.tensors.len() - 1)
            }
            (Global::Plain, _) => Value::Other,
            _ => return Err(format!("a call of {callee:?} with arguments that it does not take")),
        };
        self.push(made)
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

    /// Counts memory that is taken.
    fn count(&self, bytes: usize) -> Step<()> {
        self.budget.take(bytes as u64, || "the pickle asks for too much".into())
    }

    fn push(&mut self, value: Value<'a>) -> Step<()> {
        if self.stack.len() == self.deepest {
            self.count(SPARE * size_of::<Value<'_>>())?;
            self.deepest += 1;
        }
        self.stack.push(value);
        Ok(())
    }

    fn push_seq(&mut self, items: Vec<Value<'a>>) -> Step<()> {
        self.count(SPARE * size_of::<Vec<Value<'_>>>() + size_of_val(&items[..]))?;
        self.seqs.push(items);
        self.push(Value::Seq(self.seqs.len() - 1))
    }

    fn push_dict(&mut self, items: Vec<(Value<'a>, Value<'a>)>) -> Step<()> {
        self.count(SPARE * size_of::<Vec<(Value<'_>, Value<'_>)>>() + size_of_val(&items[..]))?;
        self.dicts.push(items);
        self.push(Value::Dict(self.dicts.len() - 1))
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
