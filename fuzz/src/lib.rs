//! What the targets share: the readers read files, so what the fuzzer makes up becomes one.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

thread_local!(static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) });

/// Hands `read` a file of this name with these bytes; the folder is made once a thread.
pub fn with_file<R>(name: &str, bytes: &[u8], read: impl FnOnce(&Path) -> R) -> R {
    let path: PathBuf = FOLDER.with_borrow_mut(|folder| {
        folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder for the fuzzer's files")).path().join(name)
    });
    std::fs::write(&path, bytes).expect("room for a file");
    read(&path)
}
