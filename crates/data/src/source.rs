//! A file being read: plain or gzipped, with its position, and never trusting what it claims.

use crate::element::ElementType;
use crate::error::DataError;
use crate::gzip;
use crate::limit::{self, Budget, MemoryLimit};
use crate::stored::{Array, Endian};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The first two bytes of a gzip stream.
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(crate) struct Source<'a> {
    path: PathBuf,
    /// The entry of an archive that is read, for messages.
    entry: Option<String>,
    reader: Box<dyn Read + 'a>,
    at: u64,
    /// How many bytes there are in all, where that is known before reading them.
    length: Option<u64>,
    budget: Budget,
}

impl<'a> Source<'a> {
    /// Opens a file; one that starts as gzip does is decompressed.
    pub fn open(path: &Path, limit: MemoryLimit) -> Result<Self, DataError> {
        let mut file = File::open(path).map_err(|e| DataError::io(path, "open", e))?;
        let meta = file.metadata().map_err(|e| DataError::io(path, "look at", e))?;
        if meta.is_dir() {
            return Err(DataError::in_file(path, "", "this is a directory; wanted a file"));
        }
        let mut start = Vec::new();
        let mut peek = |file: &mut File| {
            file.by_ref().take(2).read_to_end(&mut start)?;
            file.seek(SeekFrom::Start(0))
        };
        peek(&mut file).map_err(|e| DataError::io(path, "read", e))?;
        Self::unpacked(path, BufReader::with_capacity(1 << 16, file), start == GZIP, meta.len(), limit)
    }

    /// Reads the `bytes` of a file that is in memory; `path` names it in messages.
    #[cfg(feature = "mnist")]
    pub fn of_bytes(path: &Path, bytes: &'a [u8], limit: MemoryLimit) -> Result<Self, DataError> {
        Self::unpacked(path, bytes, bytes.starts_with(&GZIP), bytes.len() as u64, limit)
    }

    fn unpacked(path: &Path, file: impl BufRead + 'a, gzipped: bool, bytes: u64, limit: MemoryLimit) -> Result<Self, DataError> {
        let reader: Box<dyn Read + 'a> = match gzipped {
            true => gzip::reader(file).map_err(|e| DataError::io(path, "read", e))?,
            false => Box::new(file),
        };
        let budget = Budget::new(limit, if gzipped { limit::COMPRESSED } else { limit::PLAIN }, bytes);
        Ok(Self { path: path.to_owned(), entry: None, reader, at: 0, length: (!gzipped).then_some(bytes), budget })
    }

    /// Reads an entry of the archive at `path`, whose length is not to be trusted.
    #[cfg(feature = "zip")]
    pub fn of_entry(path: &Path, entry: &str, reader: Box<dyn Read + 'a>, budget: Budget) -> Self {
        Self { path: path.to_owned(), entry: Some(entry.to_owned()), reader, at: 0, length: None, budget }
    }

    /// How many bytes have been read, after decompression.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// An error at byte `at`.
    pub fn error_at(&self, at: u64, reason: impl Into<String>) -> DataError {
        let place = match &self.entry {
            Some(entry) => format!("entry `{entry}`, byte {at}"),
            None => format!("byte {at}"),
        };
        DataError::in_file(&self.path, place, reason)
    }

    fn read_error(&self, cause: &std::io::Error) -> DataError {
        self.error_at(self.at, format!("cannot read on: {cause}"))
    }

    /// Exactly `N` bytes of a header.
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], DataError> {
        let bytes = self.take(N as u64, what)?;
        Ok(bytes.try_into().expect("take returns as many bytes as it was asked for"))
    }

    /// Exactly `n` bytes, as promised by a header for `what`. The memory taken grows with the bytes that
    /// are really there.
    pub fn take(&mut self, n: u64, what: &str) -> Result<Vec<u8>, DataError> {
        let short =
            |there: u64| format!("{what}: {n} bytes are announced, but only {there} follow; the file is truncated or damaged");
        let left = self.length.map(|length| length.saturating_sub(self.at));
        if let Some(left) = left.filter(|left| n > *left) {
            return Err(self.error_at(self.at, short(left)));
        }
        let mut bytes = Vec::new();
        loop {
            let there = bytes.len() as u64;
            // Of what is known to be there, all; otherwise as much again as there is already.
            let step = left.map_or(there.max(1 << 16), |_| n).min(n - there);
            self.budget.take(step, || format!("{what}: {n} bytes")).map_err(|e| self.error_at(self.at, e))?;
            let room = usize::try_from(step).ok().and_then(|n| bytes.try_reserve_exact(n).ok());
            room.ok_or_else(|| self.error_at(self.at, format!("{what}: {n} bytes do not fit into memory")))?;
            let read = self.reader.by_ref().take(step).read_to_end(&mut bytes).map_err(|e| self.read_error(&e))?;
            if (read as u64) < step {
                return Err(self.error_at(self.at, short(bytes.len() as u64)));
            }
            if bytes.len() as u64 == n {
                self.at += n;
                return Ok(bytes);
            }
        }
    }

    /// The elements that a header announces for `what`, in one row.
    pub fn elements(&mut self, of: ElementType, numel: usize, order: Endian, what: &str) -> Result<Array, DataError> {
        let (at, raw) = (self.at, numel as u64 * of.bytes());
        let bytes = self.take(raw, what)?;
        let size = numel as u64 * of.bytes_here();
        self.budget.take(size, || format!("{what}: {size} bytes")).map_err(|e| self.error_at(at, e))?;
        let elements = of.decode(bytes, order);
        self.budget.give_back(raw);
        Ok(elements)
    }

    /// Counts memory that is taken beside what is read.
    pub fn count(&self, bytes: u64, what: &str) -> Result<(), DataError> {
        self.budget.take(bytes, || format!("{what}: {bytes} bytes")).map_err(|e| self.error_at(self.at, e))
    }

    /// All that is left of a plain file. A gzipped one is refused, as nothing bounds what it may grow to.
    pub fn take_rest(&mut self, what: &str) -> Result<Vec<u8>, DataError> {
        match self.length {
            Some(length) => self.take(length.saturating_sub(self.at), what),
            None => Err(self.error_at(0, format!("{what}: the file is gzipped; wanted it unpacked"))),
        }
    }

    /// Confirms that nothing follows.
    pub fn finish(mut self) -> Result<(), DataError> {
        let mut byte = [0];
        match self.reader.read(&mut byte) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.error_at(self.at, "more bytes follow than the header announces; wanted the end of the file")),
            Err(e) => Err(self.read_error(&e)),
        }
    }
}

/// The number of elements of a shape that some header claims; `None` when no tensor can have it.
pub(crate) fn checked_numel(shape: &[usize]) -> Option<usize> {
    gradus_tensor::shape::checked_numel(shape)
}
