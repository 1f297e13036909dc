//! Plain data beside the tensors of PyTorch's files, checksums, and what files may make of memory
//! (`fixtures/make_plain_data.py`).

use gradus_data::npz::{self, Npz};
use gradus_data::{Array, DataError, MemoryLimit, idx, npy, pth, safetensors};
use gradus_tensor::Tensor;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn message<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

/// Every protocol of pickles says the same in its own way.
#[test]
fn plain_data_beside_tensors_is_passed_over() {
    for name in ["plain_data_2.pth", "plain_data_3.pth", "plain_data_4.pth", "plain_data_5.pth", "plain_data_stream.pth"] {
        let all = pth::read(fixture(name)).unwrap_or_else(|e| panic!("{e}"));
        let values: Vec<(&str, Vec<f32>)> = all.iter().map(|(name, array)| (name.as_str(), array.cast().to_vec())).collect();
        let expected = [
            ("3", vec![6.0]),
            ("default.inner", vec![5.0]),
            ("model.bias", vec![0.5]),
            ("model.weight", vec![1.0, 2.0]),
            ("tagged", vec![3.0, 4.0]),
        ];
        assert_eq!(values, expected, "{name}");
    }
}

/// The place of an entry's bytes in a zip file.
fn place(zip: &[u8], name: &str) -> std::ops::Range<usize> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    let entry = archive.by_name(name).unwrap();
    let start = entry.data_start().unwrap() as usize;
    start..start + entry.compressed_size() as usize
}

#[test]
fn a_flipped_bit_in_an_entry_is_found() {
    let dir = tempfile::tempdir().unwrap();
    for (name, entry) in [
        ("state.pth", "state/data/0"),
        ("state.pth", "state/data.pkl"),
        ("state.pth", "state/byteorder"),
        ("stored.npz", "x.npy"),
        ("deflated.npz", "x.npy"),
    ] {
        let whole = fs::read(fixture(name)).unwrap();
        let path = dir.path().join(name);
        let read = || match name.ends_with("pth") {
            true => pth::read(&path).map(drop),
            false => Npz::open(&path).and_then(|mut npz| npz.read_all().map(drop)),
        };
        fs::write(&path, &whole).unwrap();
        read().unwrap();
        let range = place(&whole, entry);
        for at in range.clone() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            // The last bits of packed data are of no meaning.
            if name == "deflated.npz" && at + 1 == range.end && read().is_ok() {
                continue;
            }
            let text = message(read());
            assert!(text.contains(name), "{name}, byte {at} of {entry}: {text}");
            if entry.contains("data/") {
                assert!(text.contains("entry `state/data/0`: is damaged: its CRC-32 is"), "{text}");
            }
        }
    }
}

#[test]
fn pytorchs_option_to_store_no_checksums_is_known() {
    let all = pth::read(fixture("no_checksums.pth")).unwrap();
    assert_eq!(all["w"], Tensor::<f32>::arange(0.0, 3.0, 1.0).into());
}

/// The entries of `archive` and one more entry, whose place is set to that of the first one named `of`.
fn overlapping(of: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for name in [of, "other.npy"] {
        zip.start_file(name, stored).unwrap();
        let mut npy = b"\x93NUMPY\x01\x00\x36\x00{'descr': '|u1', 'fortran_order': False, 'shape': (8,)}".to_vec();
        npy[8] = (npy.len() - 10) as u8;
        npy.extend([7; 8]);
        zip.write_all(&npy).unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    // The second entry of the table of contents starts where the first one does; the field is 42 bytes into it.
    let entries: Vec<usize> = bytes.windows(4).enumerate().filter(|(_, w)| *w == b"PK\x01\x02").map(|(i, _)| i).collect();
    bytes.copy_within(entries[0] + 42..entries[0] + 46, entries[1] + 42);
    bytes
}

#[test]
fn entries_that_overlap_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    fs::write(&path, overlapping("x.npy")).unwrap();
    assert!(message(Npz::open(&path)).contains("entries of the zip archive overlap"));
    let path = dir.path().join("x.pth");
    fs::write(&path, overlapping("x/data.pkl")).unwrap();
    assert!(message(pth::read(&path)).contains("entries of the zip archive overlap"));
}

#[test]
fn compressed_zeros_are_read_up_to_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    let array = Tensor::<f64>::zeros([1 << 20]);
    let mut npy = Vec::new();
    let plain = dir.path().join("x.npy");
    npy::write(&plain, &array).unwrap();
    npy.extend(fs::read(&plain).unwrap());
    let mut zip = ZipWriter::new(fs::File::create(&path).unwrap());
    for name in ["a.npy", "b.npy", "c.npy", "d.npy", "e.npy", "f.npy", "g.npy", "h.npy", "i.npy"] {
        zip.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)).unwrap();
        zip.write_all(&npy).unwrap();
    }
    zip.finish().unwrap();
    // One array of 8 MiB is plausible for 70 KB, nine are not, unless one says so.
    let mut file = Npz::open(&path).unwrap();
    assert_eq!(file.read::<f64>("a").unwrap(), array);
    assert_eq!(file.read::<f64>("b").unwrap(), array);
    assert!(message(file.read_all()).contains("MemoryLimit::bytes"));
    assert_eq!(Npz::open_with(&path, MemoryLimit::bytes(100 << 20)).unwrap().read_all().unwrap().len(), 9);
    let text = message(Npz::open_with(&path, MemoryLimit::bytes(8 << 20)).unwrap().read_any("a"));
    assert!(text.contains("entry `a`") && text.contains("8388608 bytes"), "{text}");

    let zipped = dir.path().join("x.idx.gz");
    idx::write(&zipped, &Tensor::<u8>::zeros([1 << 20])).unwrap();
    assert_eq!(idx::read::<u8>(&zipped).unwrap().numel(), 1 << 20);
    assert!(message(idx::read_with::<u8>(&zipped, MemoryLimit::bytes(1 << 20))).contains("MemoryLimit::bytes"));
    assert!(message(npy::read_any_with(&plain, MemoryLimit::bytes(1000))).contains("MemoryLimit::bytes"));
    assert!(npy::read_any_with(&plain, MemoryLimit::unlimited()).is_ok());
}

/// A state dictionary in the stream form around a given pickle; what it may take is 1 MiB and 64 bytes for each byte.
fn hostile(pickle: &[u8]) -> String {
    let start = fs::read(fixture("state_stream.pth")).unwrap();
    let header = start.windows(2).enumerate().filter(|(_, w)| *w == b"\x80\x02").map(|(i, _)| i).nth(3).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pth");
    let storage: &[u8] = b"\x80\x02]X\x01\x00\x00\x000a.\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    fs::write(&path, [&start[..header], b"\x80\x02", pickle, storage].concat()).unwrap();
    match pth::read(&path) {
        Ok(all) => format!("{} entries", all.len()),
        Err(e) => e.to_string(),
    }
}

/// A float tensor of one element on the stack, remembered under 9; its arguments under 8, and the function under 7.
const TENSOR: &[u8] =
    b"ctorch._utils\n_rebuild_tensor_v2\nq\x07((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02NtQ\
K\0K\x01\x85K\x01\x85\x89Ntq\x08Rq\x09";

#[test]
fn a_pickle_cannot_make_much_of_little() {
    // The same tensor under many names, behind a name of a thousand characters.
    let long_names = |count: usize| {
        let mut pickle = b"}X\x01\0\0\0t".to_vec();
        pickle.extend(TENSOR);
        pickle.extend(b"sX\xe8\x03\0\0");
        pickle.extend([b'n'; 1000]);
        pickle.extend(b"}(");
        for i in 0..count {
            pickle.extend([&[b'M'][..], &(i as u16).to_le_bytes(), b"h\x09"].concat());
        }
        pickle.extend(b"us.");
        pickle
    };
    assert_eq!(hostile(&long_names(100)), "101 entries");
    assert!(hostile(&long_names(20_000)).contains("the names of the tensors: reading this file takes more"));
    // A value remembered beyond all bounds.
    assert!(hostile(b"}r\xff\xff\xff\xff.").contains("remembered under 4294967295"));
    // Empty lists, a byte each.
    assert_eq!(hostile(&[&b"}"[..], TENSOR, b"0", &b"]0".repeat(100_000), b"."].concat()), "0 entries");
    // What users store: half a million small numbers, texts and truth values, in Python's batches of a thousand.
    for item in [&b"K\x07"[..], b"\x88", b"X\x01\0\0\0a", b"G\0\0\0\0\0\0\0\0", b"K\x01K\x02\x86"] {
        let batch = [&b"("[..], &item.repeat(1000), b"e"].concat();
        let list = [&b"}"[..], TENSOR, b"0X\x01\0\0\0l]", &batch.repeat(500), b"s."].concat();
        assert_eq!(hostile(&list), "0 entries", "{item:?}");
    }
}

#[test]
fn the_same_tensors_and_metadata_are_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (tensors, _) = safetensors::read(fixture("state.safetensors")).unwrap();
    let metadata: BTreeMap<String, String> =
        (0..20).map(|i| (format!("key {i} \"\u{fc}\\\n"), format!("value {i}\t\u{1}"))).collect();
    for i in 0..5 {
        safetensors::write(at(&format!("{i}")), &tensors, &metadata).unwrap();
        npz::write(at(&format!("{i}.npz")), tensors.iter().map(|(n, t)| (n, t.clone()))).unwrap();
        assert!(fs::read(at("0")).unwrap() == fs::read(at(&format!("{i}"))).unwrap());
        assert!(fs::read(at("0.npz")).unwrap() == fs::read(at(&format!("{i}.npz"))).unwrap());
    }
    assert_eq!(safetensors::read(at("0")).unwrap(), (tensors, metadata));
}

/// With one entry of metadata at most, the library's order is fixed: what is written is what it writes.
#[test]
fn safetensors_are_laid_out_as_the_library_lays_them_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let (tensors, _) = safetensors::read(fixture("state.safetensors")).unwrap();
    let tensors: BTreeMap<String, Array> =
        tensors.into_iter().chain([("n\u{e4}me \"x\"".into(), Tensor::<f32>::zeros([0, 3]).into())]).collect();
    for metadata in [BTreeMap::new(), BTreeMap::from([("format".to_string(), "p\"t".to_string())])] {
        safetensors::write(&path, &tensors, &metadata).unwrap();
        let ours = fs::read(&path).unwrap();
        let parsed = ::safetensors::SafeTensors::deserialize(&ours).unwrap();
        let theirs = (!metadata.is_empty()).then(|| metadata.clone().into_iter().collect());
        let theirs = ::safetensors::serialize(parsed.tensors(), theirs).unwrap();
        assert!(ours == theirs, "{}\n{}", String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
    }
}
