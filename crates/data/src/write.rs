//! Files that are either complete or not there.

use crate::error::DataError;
use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file so that `path` holds either all of it or what it held before, even when the process
/// or the machine stops half-way.
///
/// `write` fills a temporary file `.gradus-tmp-<process>-<number>` in the same folder, which is then flushed to the disk and
/// renamed over `path`. Every file that Gradus writes is written this way.
///
/// - **Links.** A symbolic link stays one: the file that it points to is replaced, or made where the link points nowhere.
/// - **Permissions.** A file that is replaced keeps its mode, and its owner and group as far as the process may set them. A
///   new file has the mode that the process gives its files.
/// - **Temporary files.** After an error or a panic the temporary file is removed. A process that is killed leaves its own
///   behind; the next write into the folder removes it. The operating system's lock on the file tells a file that is still
///   being written from one that was left behind.
/// - **Two writers.** Each fills a temporary file of its own. The last one to finish wins, and `path` is whole at any time.
/// - **Devices and pipes**, such as `/dev/stdout`, are written to as they are.
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
    let mut write = Some(write);
    write_whole(path.as_ref(), &mut |file| write.take().expect("called once")(file))
}

fn write_whole(path: &Path, write: &mut dyn FnMut(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), DataError> {
    let target = followed(path).map_err(|e| DataError::io(path, "follow the link", e))?;
    let replaced = fs::metadata(&target).ok();
    if replaced.as_ref().is_some_and(|m| !m.is_file() && !m.is_dir()) {
        let file = OpenOptions::new().write(true).open(&target).map_err(|e| DataError::io(path, "open for writing", e))?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        return write(&mut out).and_then(|()| out.flush()).map_err(|e| DataError::io(path, "write", e));
    }
    remove_abandoned(folder_of(&target));
    let (file, temporary) =
        create_beside(&target, replaced.is_some()).map_err(|e| DataError::io(path, "create a file beside it to write to", e))?;
    let mut out = BufWriter::with_capacity(1 << 16, file);
    write(&mut out)
        .and_then(|()| out.flush())
        .and_then(|()| replaced.map_or(Ok(()), |old| take_over(out.get_ref(), &old)))
        .and_then(|()| out.get_ref().sync_all())
        .map_err(|e| DataError::io(path, "write", e))?;
    // The file stays open until it has its name, as the lock ends with it.
    fs::rename(&temporary.0, &target).map_err(|e| DataError::io(path, "put the finished file in its place", e))?;
    sync_directory(&target);
    Ok(())
}

/// As many links in a row as Linux follows.
const MOST_LINKS: usize = 40;

/// The path that is written to: where symbolic links lead, whether or not there is a file yet.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if !fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink()) {
            return Ok(path);
        }
        // A relative link starts from the folder that it is in.
        path = folder_of(&path).join(fs::read_link(&path)?);
    }
    Err(io::Error::other(format!("more than {MOST_LINKS} symbolic links in a row")))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes the file unless it was renamed away.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing under this name; while failing there is no one to tell.
        let _ = fs::remove_file(&self.0);
    }
}

const PREFIX: &str = ".gradus-tmp-";

/// A name that no other write has, in this process or another: they are never used twice, so that what is removed by its
/// name is what was looked at.
fn temporary_name() -> String {
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = START.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed));
    format!("{PREFIX}{}-{number:016x}", std::process::id())
}

fn is_temporary_name(name: &str) -> bool {
    let parts = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(process, number)| {
        process.parse::<u32>().is_ok() && number.len() == 16 && number.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// Opens a temporary file in the folder of `path`, locked for as long as it is open. One that is to take the place of a
/// `private` file is not readable by others while it is written.
fn create_beside(path: &Path, private: bool) -> io::Result<(File, Temporary)> {
    if path.file_name().is_none() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the path does not end in a file name"));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    loop {
        let temporary = folder_of(path).join(temporary_name());
        let file = match options.open(&temporary) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(e),
        };
        // Where there are no locks, nothing is ever taken for abandoned.
        let _ = file.lock();
        // Another process may have taken the file for abandoned before it was locked.
        if fs::symlink_metadata(&temporary).is_ok() {
            return Ok((file, Temporary(temporary)));
        }
    }
}

/// Gives a new file the permissions of the one that it replaces.
fn take_over(new: &File, old: &fs::Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let now = new.metadata()?;
        // Only the superuser may give a file away, and a group must be one's own.
        if (now.uid(), now.gid()) != (old.uid(), old.gid()) && fchown(new, Some(old.uid()), Some(old.gid())).is_err() {
            let _ = fchown(new, None, Some(old.gid()));
        }
    }
    new.set_permissions(old.permissions())
}

/// How many of a folder's entries are looked at: reading them costs less than writing a file.
const MOST_ENTRIES: usize = 4096;

/// Removes temporary files whose writers are gone, as far as possible. A writer holds a lock on its file until it ends,
/// however it ends.
fn remove_abandoned(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.take(MOST_ENTRIES).flatten() {
        let ours = entry.file_name().to_str().is_some_and(is_temporary_name);
        if !ours || !entry.file_type().is_ok_and(|t| t.is_file()) {
            continue;
        }
        let Ok(file) = OpenOptions::new().write(true).open(entry.path()) else { continue };
        match file.try_lock() {
            Ok(()) => drop(fs::remove_file(entry.path())),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

/// Makes the rename itself durable where directories can be opened; where they cannot, the file system
/// orders it.
fn sync_directory(path: &Path) {
    if let Ok(dir) = File::open(folder_of(path)) {
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
