//! Files that are either complete or not there.

use crate::error::DataError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file so that `path` holds either all of it or what it held before, even when the process
/// or the machine stops half-way.
///
/// `write` fills `path.tmp-<process>-<n>` beside it, which is then flushed to the disk and renamed over
/// `path`. After an error or a panic the temporary file is removed.
///
/// # Errors
/// When the directory is missing or cannot be written, the disk is full, or `write` fails.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("notes.txt");
/// use std::io::Write;
/// gradus_data::atomic_write(&path, |file| writeln!(file, "loss 0.25"))?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "loss 0.25\n");
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn atomic_write(path: impl AsRef<Path>, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), DataError> {
    let path = path.as_ref();
    let (file, temporary) = create_beside(path).map_err(|e| DataError::io(path, "create a file beside it to write to", e))?;
    let mut out = BufWriter::with_capacity(1 << 16, file);
    write(&mut out)
        .and_then(|()| out.flush())
        .and_then(|()| out.get_ref().sync_all())
        .map_err(|e| DataError::io(path, "write", e))?;
    // Windows does not rename a file that is open.
    drop(out);
    fs::rename(&temporary.0, path).map_err(|e| DataError::io(path, "put the finished file in its place", e))?;
    sync_directory(path);
    Ok(())
}

/// Removes the file unless it was renamed away.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing under this name; while failing there is no one to tell.
        let _ = fs::remove_file(&self.0);
    }
}

fn create_beside(path: &Path) -> io::Result<(File, Temporary)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if path.file_name().is_none() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the path does not end in a file name"));
    }
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".tmp-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let temporary = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((file, Temporary(temporary))),
            // Left by an earlier process of the same number.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

/// Makes the rename itself durable where directories can be opened; where they cannot, the file system
/// orders it.
fn sync_directory(path: &Path) {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(dir) = File::open(parent) {
        let _ = dir.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        fs::write(&path, b"old").unwrap();
        let err = atomic_write(&path, |f| {
            f.write_all(b"half")?;
            Err(io::Error::other("the pen broke"))
        });
        let message = err.unwrap_err().to_string();
        assert!(message.contains("a.bin") && message.contains("the pen broke"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[test]
    fn a_panic_half_way_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        let result = std::panic::catch_unwind(|| atomic_write(&path, |_| panic!("stop")));
        assert!(result.is_err());
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn the_old_file_is_whole_until_the_new_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        atomic_write(&path, |f| f.write_all(b"one")).unwrap();
        atomic_write(&path, |f| {
            f.write_all(b"two")?;
            f.flush()?;
            assert_eq!(fs::read(&path)?, b"one");
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none").join("a.bin");
        let err = atomic_write(&missing, |_| Ok(())).unwrap_err();
        assert_eq!((err.io_kind(), err.path()), (Some(ErrorKind::NotFound), Some(missing.as_path())));
        assert!(atomic_write("", |_| Ok(())).is_err() && atomic_write("/", |_| Ok(())).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_read_only_directory_is_refused_with_its_reason() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
        // The superuser may write anywhere; for it, /proc takes the part of the read-only directory.
        let privileged = File::create(dir.path().join("probe")).is_ok();
        let path = if privileged { PathBuf::from("/proc/a.bin") } else { dir.path().join("a.bin") };
        let message = atomic_write(&path, |_| Ok(())).unwrap_err().to_string();
        assert!(message.contains("a.bin: cannot create a file beside it to write to: "), "{message}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
}
