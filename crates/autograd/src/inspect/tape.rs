//! The tape as a list to print and to draw.

use super::table::{self, Table, count, short_place};
use crate::attributes::Attributes;
use crate::module::Module;
use crate::node::Node;
use crate::op::OpKind;
use crate::var::Var;
use gradus_tensor::thousands;
use gradus_tensor::{Float, Shape};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::mem;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The recorded operations that lead to a variable, oldest first; made by [`Var::tape`].
///
/// It is a list of [`TapeEntry`], prints as a table, and draws itself: [`to_svg`](Self::to_svg) needs no program
/// installed, [`to_dot`](Self::to_dot) is for Graphviz.
///
/// ```
/// use gradus_autograd::Var;
/// let (w, x) = (Var::leaf([[0.5f32, -1.0]].into()), Var::leaf([2.0, 3.0].into()));
/// let tape = (&w * &x).tanh().sum(..).tape();
/// assert_eq!(tape.len(), 5);
/// assert_eq!(tape[3].name, "tanh");
/// println!("{tape}");
/// assert!(tape.to_svg().starts_with("<svg"));
/// ```
#[doc(alias = "make_jaxpr")]
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    entries: Vec<TapeEntry>,
}

/// One recorded operation, or a leaf.
#[derive(Clone, Debug, PartialEq)]
pub struct TapeEntry {
    /// The node's number, as [`Var::id`] gives it.
    pub id: u64,
    /// The op's name; `leaf` for a leaf.
    pub name: &'static str,
    /// What sort of work it is.
    pub kind: OpKind,
    /// What decides its result besides its inputs.
    pub attributes: Attributes,
    /// A parameter's path in its model, when [`Tape::named`] told.
    pub path: Option<String>,
    /// The result's shape.
    pub shape: Shape,
    /// Where in the user's code the op was called.
    pub at: &'static Location<'static>,
    /// The numbers of the nodes that it was computed from; constants have none.
    pub inputs: Vec<u64>,
    /// The size of the result: its elements times the size of one. Whether the tape keeps it, this does not say.
    pub bytes: usize,
    /// How long the op took, when it ran inside [`profile`](crate::profile), where it says what the figure holds.
    pub time: Option<Duration>,
    /// The bytes of the buffers that the op made and that were alive when the tape was looked at, or when the profile
    /// inside which it ran had ended: what the tape keeps of it, and the program. A buffer that is handed over and
    /// written in place is that of the op that made it.
    pub kept: Option<usize>,
}

impl TapeEntry {
    fn of<T: Float>(node: &Node<T>) -> Self {
        let cost = node.cost();
        Self {
            id: node.id,
            name: node.name(),
            kind: node.op().map_or(OpKind::Leaf, |op| op.kind()),
            attributes: node.op().map_or_else(Attributes::new, |op| op.attributes()),
            path: None,
            shape: node.shape.clone(),
            at: node.at,
            inputs: node.inputs.iter().flatten().map(|i| i.id).collect(),
            bytes: node.shape.numel() * mem::size_of::<T>(),
            time: cost.map(|c| c.time),
            kept: cost.map(|c| c.kept.load(Ordering::Relaxed)),
        }
    }

    /// Whether this is a leaf and no operation.
    pub fn is_leaf(&self) -> bool {
        self.kind == OpKind::Leaf
    }

    /// The parameter's path if it is known, else the op's name.
    pub fn label(&self) -> &str {
        self.path.as_deref().unwrap_or(self.name)
    }
}

impl<T: Float> Var<T> {
    /// The recorded operations that lead to this variable, oldest first: to print, to draw, to go through.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// let x = Var::leaf([1.0f32, 2.0].into());
    /// let y = x.exp().sum(..);
    /// let names: Vec<_> = y.tape().iter().map(|e| e.name).collect();
    /// assert_eq!(names, ["leaf", "exp", "sum"]);
    /// ```
    pub fn tape(&self) -> Tape {
        let mut seen = BTreeMap::new();
        let mut stack: Vec<&Arc<Node<T>>> = self.node.iter().collect();
        while let Some(node) = stack.pop() {
            if seen.insert(node.id, node).is_none() {
                stack.extend(node.inputs.iter().flatten());
            }
        }
        Tape { entries: seen.into_values().map(|n| TapeEntry::of(n)).collect() }
    }
}

impl Tape {
    /// The entry of the node of this number ([`Var::id`]).
    pub fn get(&self, id: u64) -> Option<&TapeEntry> {
        self.entries.binary_search_by_key(&id, |e| e.id).ok().map(|i| &self.entries[i])
    }

    /// With the parameters of `module` called by their paths.
    ///
    /// ```
    /// use gradus_autograd::Param;
    /// let net = (Param::<f32>::new([1.0, 2.0].into()), Param::new([0.5].into()));
    /// let tape = (&*net.0 * &*net.1).sum(..).tape().named(&net);
    /// assert_eq!(tape[0].label(), "0");
    /// ```
    #[must_use]
    pub fn named<T: Float>(mut self, module: &(impl Module<T> + ?Sized)) -> Self {
        let mut paths: HashMap<u64, String> =
            module.named_parameters().into_iter().filter_map(|(path, p)| Some((p.id()?, path))).collect();
        for entry in &mut self.entries {
            if let Some(path) = paths.remove(&entry.id) {
                entry.path = Some(path);
            }
        }
        self
    }

    /// `14 ops, 8 leaves of 431,080 numbers, ...`
    pub(super) fn summary(&self) -> String {
        let (leaves, ops): (Vec<_>, Vec<_>) = self.entries.iter().partition(|e| e.is_leaf());
        let numbers: usize = leaves.iter().map(|e| e.shape.numel()).sum();
        let bytes: usize = ops.iter().map(|e| e.bytes).sum();
        let mut text = format!(
            "{}, {} with {}; results of {}",
            count(ops.len(), "op", "ops"),
            count(leaves.len(), "leaf", "leaves"),
            count(numbers, "number", "numbers"),
            table::bytes(bytes)
        );
        if ops.iter().any(|e| e.time.is_some()) {
            let (time, kept): (Duration, usize) =
                (ops.iter().filter_map(|e| e.time).sum(), ops.iter().filter_map(|e| e.kept).sum());
            text += &format!(", {} kept; {}", table::bytes(kept), table::time(time));
        }
        text
    }

    /// How often each op occurs, and what its entries come to together; that with the largest results first.
    fn totals(&self) -> Vec<(&'static str, Totals)> {
        let mut totals: BTreeMap<&'static str, Totals> = BTreeMap::new();
        for e in &self.entries {
            let total = totals.entry(e.name).or_default();
            (total.times, total.bytes) = (total.times + 1, total.bytes + e.bytes);
            total.kept = e.kept.map_or(total.kept, |kept| Some(total.kept.unwrap_or(0) + kept));
            total.time = e.time.map_or(total.time, |time| Some(total.time.unwrap_or_default() + time));
        }
        let mut totals: Vec<_> = totals.into_iter().collect();
        totals.sort_by_key(|(_, total)| std::cmp::Reverse(total.bytes));
        totals
    }
}

#[derive(Default)]
struct Totals {
    times: usize,
    bytes: usize,
    kept: Option<usize>,
    time: Option<Duration>,
}

impl Deref for Tape {
    type Target = [TapeEntry];
    fn deref(&self) -> &[TapeEntry] {
        &self.entries
    }
}

impl IntoIterator for Tape {
    type Item = TapeEntry;
    type IntoIter = std::vec::IntoIter<TapeEntry>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a> IntoIterator for &'a Tape {
    type Item = &'a TapeEntry;
    type IntoIter = std::slice::Iter<'a, TapeEntry>;
    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

/// A tape of more entries is printed by its beginning, its end, and the totals.
const PRINTED: usize = 48;
/// So many of them at either end.
const END: usize = 16;

/// A table, a row to an entry; of a long tape the beginning, the end, and what each op comes to.
impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            return writeln!(f, "an empty tape: the variable is a constant");
        }
        let mut rows = Table::new([">#", "op", "shape", "inputs", ">bytes", ">kept", ">time", "line"]);
        let long = self.entries.len() > PRINTED;
        for (i, e) in self.entries.iter().enumerate() {
            if long && (END..self.entries.len() - END).contains(&i) {
                if i == END {
                    let left_out = count(self.entries.len() - 2 * END, "more", "more");
                    let mut row = [const { String::new() }; 8];
                    (row[0], row[1]) = ("⋮".into(), left_out);
                    rows.row(row);
                }
                continue;
            }
            let inputs: Vec<String> = e.inputs.iter().map(u64::to_string).collect();
            rows.row([
                e.id.to_string(),
                e.label().to_string(),
                e.shape.to_string(),
                inputs.join(" "),
                table::bytes(e.bytes),
                e.kept.map_or_else(String::new, table::bytes),
                e.time.map_or_else(String::new, table::time),
                short_place(e.at),
            ]);
        }
        write!(f, "{rows}")?;
        if long {
            let mut rows = Table::new(["op", ">times", ">bytes", ">kept", ">time"]);
            for (name, t) in self.totals() {
                let (kept, time) = (t.kept.map_or_else(String::new, table::bytes), t.time.map_or_else(String::new, table::time));
                rows.row([name.to_string(), thousands(t.times), table::bytes(t.bytes), kept, time]);
            }
            write!(f, "\n{rows}")?;
        }
        writeln!(f, "{}", self.summary())
    }
}
