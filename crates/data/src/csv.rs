//! Tables of numbers in text: comma-separated values.

use crate::dataset::TensorDataset;
use crate::error::DataError;
use crate::labelled::Relabelled;
use ::csv::{ReaderBuilder, StringRecord};
use gradus_tensor::{Element, Tensor};
use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A column, by name (`"age"`) or by number from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column(Key);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Name(String),
    Number(usize),
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self(Key::Name(name.to_owned()))
    }
}

impl From<String> for Column {
    fn from(name: String) -> Self {
        Self(Key::Name(name))
    }
}

impl From<usize> for Column {
    fn from(number: usize) -> Self {
        Self(Key::Number(number))
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Key::Name(name) => write!(f, "`{name}`"),
            Key::Number(number) => write!(f, "{number}"),
        }
    }
}

/// A file of comma-separated values, and which of its columns are wanted.
///
/// The first line names the columns unless [`header`](Self::header) says otherwise. Values are trimmed of
/// spaces, and every one must be there and parse: an error names the line and the column.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("iris.csv");
/// use gradus_data::{Csv, Labelled};
/// std::fs::write(&path, "length,width,species\n5.1,3.5,setosa\n7.0,3.2,versicolor\n4.9,3.0,setosa\n").unwrap();
/// let data = Csv::new(&path).target("species").read_classes::<f32>()?;
/// assert_eq!(data.classes(), ["setosa", "versicolor"]);
/// assert_eq!(*data.data().inputs().shape(), [3, 2]);
/// assert_eq!(data.labels().to_vec(), [0, 1, 0]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias = "read_csv")]
#[derive(Clone, Debug)]
pub struct Csv {
    path: PathBuf,
    header: bool,
    delimiter: u8,
    inputs: Option<Vec<Column>>,
    target: Option<Column>,
}

impl Csv {
    /// The file at `path`; it is opened by the methods that read.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), header: true, delimiter: b',', inputs: None, target: None }
    }

    /// Whether the first line names the columns; it does unless told otherwise.
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// What stands between values, such as `b';'` or `b'\t'`; a comma unless told otherwise.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// The columns to read as inputs, in this order; all but the target unless told otherwise.
    pub fn inputs<C: Into<Column>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.inputs = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// The column to read as targets.
    pub fn target(mut self, column: impl Into<Column>) -> Self {
        self.target = Some(column.into());
        self
    }

    /// Reads the inputs alone, `[N, C]` for `N` lines and `C` columns.
    ///
    /// # Errors
    /// When the file cannot be read, has no lines with values, lacks a column that is asked for, or a line
    /// has more or fewer values than the first; and when a value is missing or is no `T`.
    pub fn read_inputs<T: Element + FromStr>(&self) -> Result<Tensor<T>, DataError> {
        self.table(|_| Ok(())).map(|(inputs, _)| inputs)
    }

    /// Reads inputs `[N, C]` and targets `[N]`, both numbers.
    ///
    /// # Errors
    /// As for [`read_inputs`](Self::read_inputs), and when no target column was given.
    pub fn read<T: Element + FromStr, U: Element + FromStr>(&self) -> Result<TensorDataset<T, U>, DataError> {
        self.needs_target()?;
        let (inputs, targets) = self.table(parse::<U>)?;
        TensorDataset::new(inputs, Tensor::from(targets))
    }

    /// Reads inputs `[N, C]` and targets that are names of classes, which are numbered in the order of their names.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_classes<T: Element + FromStr>(&self) -> Result<Relabelled<TensorDataset<T, i64>>, DataError> {
        self.needs_target()?;
        let nonempty = |s: &str| if s.is_empty() { Err("no class here".to_owned()) } else { Ok(s.to_owned()) };
        let (inputs, names) = self.table(nonempty)?;
        let mut numbers: BTreeMap<&str, i64> = names.iter().map(|n| (n.as_str(), 0)).collect();
        numbers.values_mut().zip(0..).for_each(|(number, i)| *number = i);
        let targets = Tensor::from(names.iter().map(|n| numbers[n.as_str()]).collect::<Vec<_>>());
        Relabelled::new(TensorDataset::new(inputs, targets.clone())?, targets, numbers.into_keys())
    }

    fn needs_target(&self) -> Result<(), DataError> {
        let missing = || DataError::in_file(&self.path, "", "no target column was given; name one with `target`");
        self.target.as_ref().map(drop).ok_or_else(missing)
    }

    /// The inputs, and what `target` makes of the target column if there is one.
    fn table<T: Element + FromStr, U>(
        &self,
        target: impl Fn(&str) -> Result<U, String>,
    ) -> Result<(Tensor<T>, Vec<U>), DataError> {
        let text = fs::read(&self.path).map_err(|e| DataError::io(&self.path, "read", e))?;
        // Flexible, so that a line of the wrong length is reported in this crate's words.
        let mut reader = ReaderBuilder::new()
            .has_headers(self.header)
            .flexible(true)
            .trim(::csv::Trim::All)
            .delimiter(self.delimiter)
            .from_reader(&text[..]);
        let names = if self.header { Some(reader.headers().map_err(|e| self.unreadable(&e))?.clone()) } else { None };
        let (mut plan, mut inputs, mut targets) = (None, Vec::new(), Vec::new());
        for record in reader.records() {
            let record = record.map_err(|e| self.unreadable(&e))?;
            let plan = match &mut plan {
                Some(plan) => plan,
                None => plan.insert(self.plan(names.clone(), record.len())?),
            };
            plan.check_length(self, &text, &record)?;
            for &column in &plan.inputs {
                inputs.push(parse(&record[column]).map_err(|reason| plan.wrong(self, &text, &record, column, reason))?);
            }
            if let Some(column) = plan.target {
                targets.push(target(&record[column]).map_err(|reason| plan.wrong(self, &text, &record, column, reason))?);
            }
            plan.lines += 1;
        }
        let Some(plan) = plan else {
            return Err(DataError::in_file(&self.path, "", "there are no lines with values in it"));
        };
        Ok((Tensor::from_vec(inputs, [plan.lines, plan.inputs.len()]), targets))
    }

    /// Finds the wanted columns, given the header or the first line's length.
    fn plan(&self, names: Option<StringRecord>, first: usize) -> Result<Plan, DataError> {
        let width = names.as_ref().map_or(first, StringRecord::len);
        let find = |column: &Column| self.find(column, names.as_ref(), width);
        let target = self.target.as_ref().map(find).transpose()?;
        let inputs = match &self.inputs {
            Some(columns) => columns.iter().map(find).collect::<Result<_, _>>()?,
            None => (0..width).filter(|i| Some(*i) != target).collect(),
        };
        Ok(Plan { names, width, inputs, target, lines: 0 })
    }

    fn find(&self, column: &Column, names: Option<&StringRecord>, width: usize) -> Result<usize, DataError> {
        let missing = |there: String| DataError::in_file(&self.path, "", format!("there is no column {column}; {there}"));
        match (&column.0, names) {
            (Key::Number(i), _) if *i < width => Ok(*i),
            (Key::Number(_), _) => Err(missing(format!("there are {width}, numbered from 0"))),
            (Key::Name(_), None) => Err(missing("the file is read without a header, so columns go by number".into())),
            (Key::Name(name), Some(names)) => {
                let mut found = names.iter().enumerate().filter(|(_, n)| n == name).map(|(i, _)| i);
                match (found.next(), found.next()) {
                    (Some(i), None) => Ok(i),
                    (Some(i), Some(j)) => {
                        let reason = format!("columns {i} and {j} are both named {column}; choose one by number");
                        Err(DataError::in_file(&self.path, "line 1", reason))
                    }
                    (None, _) => {
                        let all = names.iter().collect::<Vec<_>>().join(", ");
                        Err(missing(format!("there are: {all}")))
                    }
                }
            }
        }
    }

    fn unreadable(&self, e: &::csv::Error) -> DataError {
        let place = e.position().map_or(String::new(), |p| format!("line {}", p.line()));
        let reason = match e.kind() {
            ::csv::ErrorKind::Utf8 { err, .. } => format!("the text is not UTF-8: {err}"),
            ::csv::ErrorKind::Io(e) => format!("cannot read on: {e}"),
            _ => e.to_string(),
        };
        DataError::in_file(&self.path, place, reason)
    }
}

/// Where the wanted values stand in a line.
struct Plan {
    names: Option<StringRecord>,
    width: usize,
    inputs: Vec<usize>,
    target: Option<usize>,
    /// Lines read so far.
    lines: usize,
}

impl Plan {
    fn check_length(&self, csv: &Csv, text: &[u8], record: &StringRecord) -> Result<(), DataError> {
        if record.len() == self.width {
            return Ok(());
        }
        let reason = format!("{} values; wanted {}, as in the first line", record.len(), self.width);
        Err(DataError::in_file(&csv.path, format!("line {}", line(text, record)), reason))
    }

    fn wrong(&self, csv: &Csv, text: &[u8], record: &StringRecord, column: usize, reason: String) -> DataError {
        let name = self.names.as_ref().map_or(String::new(), |n| format!(" (`{}`)", &n[column]));
        DataError::in_file(&csv.path, format!("line {}, column {column}{name}", line(text, record)), reason)
    }
}

/// The number of a record's first line. Its position is where the one before it ended, which may be some
/// empty lines above.
fn line(text: &[u8], record: &StringRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let before = text.get(position.byte() as usize..).unwrap_or_default();
    let empty = before.iter().take_while(|b| matches!(b, b'\r' | b'\n')).filter(|&&b| b == b'\n').count();
    position.line() + empty as u64
}

fn parse<T: FromStr>(text: &str) -> Result<T, String> {
    let wanted = type_name::<T>();
    if text.is_empty() {
        return Err(format!("no value here; wanted {wanted}"));
    }
    text.parse().map_err(|_| format!("`{}` is not {wanted}", text.chars().take(40).collect::<String>()))
}
