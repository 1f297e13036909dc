//! Files from the network, checked before they appear.

use crate::error::DataError;
use crate::write::atomic_write;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::Agent;

/// A file that mirrors offer.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    /// Its name, there and here.
    pub name: &'a str,
    /// Its exact size in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: &'a str,
}

/// Brings those of `files` into `dir` that are not there yet, each from the first of the `mirrors` that
/// delivers it right.
///
/// # Errors
/// When no mirror has a file of the right size and sum, or the folder cannot be written to.
pub fn fetch(mirrors: &[&str], files: &[Remote<'_>], dir: &Path) -> Result<(), DataError> {
    fs::create_dir_all(dir).map_err(|e| DataError::io(dir, "create the folder", e))?;
    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_per_read(Some(Duration::from_secs(30)))
        .build()
        .into();
    files.iter().try_for_each(|file| fetch_one(&agent, mirrors, file, dir))
}

/// Where fetched files are kept: the folder of the environment variable `GRADUS_CACHE`, else `gradus` in the user's cache
/// folder (`XDG_CACHE_HOME`, `LOCALAPPDATA` on Windows, or `~/.cache`).
///
/// # Errors
/// When none of these variables is set.
pub fn cache_dir() -> Result<PathBuf, DataError> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let user = || folder("XDG_CACHE_HOME").or_else(|| folder("LOCALAPPDATA")).or_else(|| Some(folder("HOME")?.join(".cache")));
    folder("GRADUS_CACHE").or_else(|| Some(user()?.join("gradus"))).ok_or_else(|| {
        DataError::new("no folder for fetched files is known; wanted GRADUS_CACHE, XDG_CACHE_HOME or HOME to be set")
    })
}

fn fetch_one(agent: &Agent, mirrors: &[&str], file: &Remote<'_>, dir: &Path) -> Result<(), DataError> {
    let path = dir.join(file.name);
    if is_right(&path, file) {
        return Ok(());
    }
    let mut failures = Vec::new();
    for mirror in mirrors {
        let url = format!("{mirror}/{}", file.name);
        let body = match agent.get(&url).call() {
            Ok(response) => response.into_body().into_reader(),
            Err(e) => {
                failures.push(format!("{url}: {e}"));
                continue;
            }
        };
        let mut wrong = None;
        let written = atomic_write(&path, |out| copy_checked(body, out, file).inspect_err(|e| wrong = Some(e.to_string())));
        match (written, wrong) {
            (Ok(()), _) => return Ok(()),
            (Err(_), Some(reason)) => failures.push(format!("{url}: {reason}")),
            // The folder is at fault, and no other mirror would help.
            (Err(e), None) => return Err(e),
        }
    }
    Err(DataError::in_file(&path, "", format!("could not be fetched. {}", failures.join("; "))))
}

/// Copies exactly the file that is wanted, or fails; never more than its size and a byte.
fn copy_checked(body: impl Read, out: &mut impl Write, file: &Remote<'_>) -> io::Result<()> {
    let (size, sum) = copy_hashing(body.take(file.size + 1), out)?;
    if size != file.size {
        let came = if size > file.size { format!("{size} or more") } else { size.to_string() };
        return Err(io::Error::other(format!("{came} bytes came; wanted {}", file.size)));
    }
    if sum != file.sha256 {
        return Err(io::Error::other(format!("its SHA-256 is {sum}; wanted {}", file.sha256)));
    }
    Ok(())
}

fn copy_hashing(mut from: impl Read, out: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut hash, mut size, mut chunk) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match from.read(&mut chunk)? {
            0 => break,
            n => {
                hash.update(&chunk[..n]);
                out.write_all(&chunk[..n])?;
                size += n as u64;
            }
        }
    }
    Ok((size, hash.finalize().iter().map(|b| format!("{b:02x}")).collect()))
}

/// Whether the file is there already.
fn is_right(path: &Path, file: &Remote<'_>) -> bool {
    let check = |f: File| copy_hashing(BufReader::new(f).take(file.size + 1), &mut io::sink());
    File::open(path).and_then(check).is_ok_and(|(size, sum)| size == file.size && sum == file.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const HELLO: Remote<'_> =
        Remote { name: "hello.txt", size: 5, sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" };

    /// A server on this machine that answers every request with `status` and `body`, and counts them.
    fn serve(status: &'static str, body: &'static str) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                assert_eq!(lines.next().unwrap().unwrap(), "GET /hello.txt HTTP/1.1");
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                counter.fetch_add(1, Ordering::SeqCst);
                let n = body.len();
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {n}\r\nConnection: close\r\n\r\n{body}").unwrap();
            }
        });
        (address, count)
    }

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_right_file_is_fetched_once() {
        let (url, count) = serve("200 OK", "hello");
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("new").join("folder");
        fetch(&[&url], &[HELLO], &into).unwrap();
        assert_eq!(fs::read(into.join("hello.txt")).unwrap(), b"hello");
        fetch(&[&url], &[HELLO], &into).unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        // A file that is there but wrong is replaced.
        fs::write(into.join("hello.txt"), b"hullo").unwrap();
        fetch(&[&url], &[HELLO], &into).unwrap();
        assert_eq!(fs::read(into.join("hello.txt")).unwrap(), b"hello");
        assert_eq!(names(&into), ["hello.txt"]);
    }

    #[test]
    fn the_next_mirror_stands_in_for_a_bad_one() {
        let (missing, _) = serve("404 Not Found", "");
        let (wrong, asked) = serve("200 OK", "hullo");
        let (long, _) = serve("200 OK", "hello, hello");
        let (good, _) = serve("200 OK", "hello");
        let dir = tempfile::tempdir().unwrap();
        fetch(&["http://127.0.0.1:1", &missing, &wrong, &long, &good], &[HELLO], dir.path()).unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(fs::read(dir.path().join("hello.txt")).unwrap(), b"hello");
    }

    #[test]
    fn wrong_files_are_refused_and_leave_nothing() {
        for (status, body, reason) in [
            ("200 OK", "hullo", "its SHA-256 is"),
            ("200 OK", "hell", "4 bytes came; wanted 5"),
            ("200 OK", "hello, hello", "6 or more bytes came; wanted 5"),
            ("500 Internal Server Error", "", "500"),
        ] {
            let (url, _) = serve(status, body);
            let dir = tempfile::tempdir().unwrap();
            let message = fetch(&[&url], &[HELLO], dir.path()).unwrap_err().to_string();
            assert!(message.contains(reason) && message.contains(&url), "{message}");
            assert!(names(dir.path()).is_empty());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        let message = fetch(&[], &[HELLO], &file.join("sub")).unwrap_err().to_string();
        assert!(message.contains("cannot create the folder"), "{message}");
    }
}
