//! How files come to the disk: links, modes, writers that are killed, and writers at the same time.

use gradus_data::atomic_write;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_a_mode_stays_a_mode() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("disk")).unwrap();
    fs::write(at("disk/weights"), b"old").unwrap();
    // A link to a link, relative and absolute, and one that leads to what is not there yet.
    symlink("disk/weights", at("a")).unwrap();
    symlink(at("a"), at("b")).unwrap();
    symlink("disk/none", at("c")).unwrap();
    let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
    for wanted in [0o600, 0o640, 0o444, 0o755] {
        fs::set_permissions(at("disk/weights"), fs::Permissions::from_mode(wanted)).unwrap();
        atomic_write(at("b"), |f| {
            f.write_all(b"new")?;
            f.flush()?;
            let temporary = fs::read_dir(at("disk"))?.flatten().find(|e| e.file_name().to_string_lossy().contains("tmp"));
            assert_eq!(temporary.unwrap().metadata()?.permissions().mode() & 0o077, 0, "others can read what is written");
            Ok(())
        })
        .unwrap();
        assert_eq!((fs::read(at("disk/weights")).unwrap(), mode("disk/weights")), (b"new".to_vec(), wanted));
    }
    atomic_write(at("c"), |f| f.write_all(b"made")).unwrap();
    assert_eq!(fs::read(at("disk/none")).unwrap(), b"made");
    assert!(["a", "b", "c"].iter().all(|link| fs::symlink_metadata(at(link)).unwrap().is_symlink()));
    // A new file has the mode of any other new file.
    fs::write(at("plain"), b"").unwrap();
    assert_eq!(mode("disk/none"), mode("plain"));
    symlink("e", at("d")).unwrap();
    symlink("d", at("e")).unwrap();
    let message = atomic_write(at("d"), |_| Ok(())).unwrap_err().to_string();
    assert!(message.contains("cannot follow the link") && message.contains("links in a row"), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn devices_are_written_to_and_stay() {
    use std::os::unix::fs::FileTypeExt;
    atomic_write("/dev/null", |f| f.write_all(b"nothing")).unwrap();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

/// A file that is locked is being written; one that is not was left behind.
#[test]
fn only_what_a_dead_process_left_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (abandoned, busy) = (".gradus-tmp-4000000-00000000000000aa", ".gradus-tmp-4000001-00000000000000bb");
    // What only looks like ours is not ours.
    let others = [".gradus-tmp-1-2", ".gradus-tmp-x-00000000000000aa", "gradus-tmp-1-00000000000000aa", "a.tmp-1-0"];
    for name in others.iter().chain(&[abandoned, busy]) {
        fs::write(at(name), b"half").unwrap();
    }
    let writer = OpenOptions::new().write(true).open(at(busy)).unwrap();
    writer.lock().unwrap();
    atomic_write(at("a.bin"), |f| f.write_all(b"whole")).unwrap();
    let mut expected = [&others[..], &["a.bin", busy]].concat();
    expected.sort_unstable();
    assert_eq!(names(dir.path()), expected);
    drop(writer);
    atomic_write(at("a.bin"), |f| f.write_all(b"whole")).unwrap();
    assert!(!at(busy).exists());
}

/// Writers of one file at the same time, one within the other and on many threads, do not disturb each other.
#[test]
fn writers_at_the_same_time_leave_one_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.bin");
    atomic_write(&path, |f| {
        f.write_all(&[1; 1000])?;
        atomic_write(&path, |f| f.write_all(&[2; 1000])).unwrap();
        f.write_all(&[1; 1000])
    })
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), [1; 2000]);
    std::thread::scope(|scope| {
        for id in 0..8u8 {
            let path = &path;
            scope.spawn(move || (0..20).for_each(|_| atomic_write(path, |f| f.write_all(&[id; 5000])).unwrap()));
        }
    });
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() == 5000 && whole.iter().all(|b| *b == whole[0]));
    assert_eq!(names(dir.path()), ["a.bin"]);
}

/// Names the folder for the process that [`killed_writers_leave_nothing_for_long`] kills.
const WRITE_INTO: &str = "GRADUS_TEST_WRITE_INTO";

/// Not a test by itself: writes slowly until it is killed.
#[test]
fn writes_until_killed() {
    let Some(dir) = std::env::var_os(WRITE_INTO) else { return };
    let path = Path::new(&dir).join("a.bin");
    loop {
        atomic_write(&path, |f| {
            f.write_all(&[7; 1 << 20])?;
            f.flush()?;
            std::thread::sleep(Duration::from_millis(20));
            f.write_all(&[7; 1 << 20])
        })
        .unwrap();
    }
}

#[test]
fn killed_writers_leave_nothing_for_long() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writing::writes_until_killed"])
            .env(WRITE_INTO, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Two writers at once in odd rounds: this process does not take the other's file away.
        let start = Instant::now();
        while !names(dir.path()).iter().any(|n| n.starts_with(".gradus-tmp")) && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if round % 2 == 1 {
            atomic_write(dir.path().join("b.bin"), |f| f.write_all(b"other")).unwrap();
            assert_eq!(child.try_wait().unwrap(), None, "the other writer goes on");
        }
        std::thread::sleep(Duration::from_millis(round));
        child.kill().unwrap();
        child.wait().unwrap();
        let temporary = names(dir.path()).iter().filter(|n| n.starts_with(".gradus-tmp")).count();
        assert!(temporary <= 1, "{temporary} temporary files");
    }
    atomic_write(dir.path().join("c.bin"), |f| f.write_all(b"last")).unwrap();
    assert!(names(dir.path()).iter().all(|n| n.ends_with(".bin")), "{:?}", names(dir.path()));
    if let Ok(whole) = fs::read(dir.path().join("a.bin")) {
        assert!(whole.len() == 2 << 20 && whole.iter().all(|b| *b == 7));
    }
}
