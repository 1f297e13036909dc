//! Array files, against files that NumPy wrote and against their own writers.

use gradus_data::npz::{self, Npz};
use gradus_data::{Array, DataError, idx, npy};
use gradus_tensor::{DType, Tensor};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn message<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

/// What the script that made the fixtures calls X.
fn x() -> Tensor<f64> {
    (Tensor::<f64>::arange(0.0, 6.0, 1.0).reshape([2, 3]) - 2.5) / 3.0
}

fn x32() -> Tensor<f32> {
    x().cast::<f32>()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Every plain row-major fixture, and what it holds.
fn arrays() -> Vec<(&'static str, Array)> {
    vec![
        ("f32.npy", x32().into()),
        ("f64.npy", x().into()),
        ("i32.npy", Tensor::from([i32::MIN, -1, i32::MAX]).into()),
        ("i64.npy", Tensor::from([[i64::MIN], [i64::MAX]]).into()),
        ("u8.npy", Tensor::from_vec((0..24u8).collect(), [2, 3, 4]).into()),
        ("bool.npy", Tensor::from([true, false, true]).into()),
        ("scalar.npy", Tensor::scalar(7i32).into()),
        ("empty.npy", Tensor::<f32>::zeros([0, 4]).into()),
    ]
}

#[test]
fn arrays_of_numpy_are_read() {
    for (name, expected) in arrays() {
        assert_eq!(npy::read_any(fixture(name)).unwrap(), expected, "{name}");
    }
    assert_eq!(npy::read::<f32>(fixture("f32_version_2.npy")).unwrap(), x32());
    assert_eq!(npy::read::<i64>(fixture("i64_big_endian.npy")).unwrap(), Tensor::from([1, -2, 3]));
    let fortran = npy::read::<f64>(fixture("f64_fortran.npy")).unwrap();
    assert_eq!(fortran, Tensor::arange(0.0, 24.0, 1.0).reshape([2, 3, 4]));
    assert!(fortran.is_contiguous());
}

#[test]
fn arrays_are_written_byte_for_byte_as_numpy_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    for (name, array) in arrays() {
        npy::write(&path, array).unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read(fixture(name)).unwrap(), "{name}");
    }
    npy::write(&path, x().t()).unwrap();
    assert_eq!(npy::read::<f64>(&path).unwrap(), x().t());
}

#[test]
fn arrays_of_other_types_are_refused_by_name() {
    assert!(message(npy::read_any(fixture("records.npy"))).contains("the elements are records"));
    let err = message(npy::read::<i64>(fixture("f32.npy")));
    assert!(err.ends_with("f32.npy: the elements are f32; wanted i64 (read as f32, then convert)"), "{err}");
}

#[test]
fn archives_of_numpy_are_read() {
    let mut file = Npz::open(fixture("stored.npz")).unwrap();
    assert_eq!(file.names(), ["x", "y"]);
    assert_eq!(file.read::<f32>("x").unwrap(), x32());
    assert_eq!(file.read::<i64>("y").unwrap(), Tensor::from([1, 0]));
    let mut file = Npz::open(fixture("deflated.npz")).unwrap();
    assert_eq!(file.names(), ["layer.weight", "x"]);
    assert_eq!(file.read::<f64>("layer.weight").unwrap(), x());
    assert_eq!(file.read_any("x").unwrap(), Tensor::<f64>::zeros([100, 100]).into());
    assert!(message(file.read::<f32>("x")).contains("deflated.npz, entry `x`: the elements are f64; wanted f32"));
    assert!(message(file.read::<f32>("z")).contains("there is no array `z`; there are: layer.weight, x"));
}

#[test]
fn archives_come_back_as_written_and_the_same_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let (path, again) = (dir.path().join("a.npz"), dir.path().join("b.npz"));
    npz::write(&path, arrays()).unwrap();
    npz::write(&again, arrays()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(&again).unwrap());
    let mut file = Npz::open(&path).unwrap();
    for (name, array) in arrays() {
        assert_eq!(file.read_any(name).unwrap(), array);
    }
    let twice = npz::write(&again, [("x", Array::from(x())), ("x", x().into())]);
    assert!(message(twice).contains("b.npz: cannot write: "));
}

#[test]
fn idx_files_have_the_published_layout() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.idx");
    idx::write(&path, &Tensor::from([[1i32, -2], [3, 4], [5, 6]])).unwrap();
    let mut bytes = vec![0, 0, 0x0C, 2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE];
    bytes.extend([0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6]);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn idx_files_come_back_as_written_plain_and_gzipped() {
    fn check<T: idx::IdxElement>(x: &Tensor<T>) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["x.idx", "x.idx.gz"] {
            let path = dir.path().join(name);
            idx::write(&path, x).unwrap();
            assert_eq!(fs::read(&path).unwrap()[0], if name.ends_with("gz") { 0x1f } else { 0 });
            assert_eq!(idx::read::<T>(&path).unwrap(), *x);
        }
    }
    check(&x().t());
    check(&x32());
    check(&Tensor::from([i32::MIN, 0, i32::MAX]));
    check(&Tensor::from_vec((0..24u8).collect(), [2, 3, 4]));
    check(&Tensor::scalar(7u8));
    check(&Tensor::<f32>::zeros([2, 0, 3]));
}

#[test]
fn damaged_idx_files_are_refused_with_place_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.idx");
    let good = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4];
    let cases: [(&[u8], &str); 10] = [
        (&[], "byte 0: the magic number: 4 bytes are announced, but only 0 follow"),
        (&good[..3], "byte 0: the magic number: 4 bytes are announced, but only 3 follow"),
        (&[1, 0, 8, 1, 0, 0, 0, 0], "byte 0: not an IDX file: it starts with 0x01 0x00"),
        (&[0, 0, 0x0D, 1, 0, 0, 0, 0], "byte 2: the element type is 0x0d (f32); wanted 0x08, which is u8"),
        (&[0, 0, 7, 1, 0, 0, 0, 0], "byte 2: the element type is 0x07, which no IDX file has"),
        (&good[..10], "byte 8: the size of axis 1: 4 bytes are announced, but only 2 follow"),
        (&good[..15], "byte 12: the elements of shape [2, 2]: 4 bytes are announced, but only 3 follow"),
        (&[0, 0, 8, 1, 0, 0, 0, 1, 9, 9], "byte 9: more bytes follow than the header announces"),
        (&[0, 0, 8, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0], "byte 8: the elements of shape [4294967295]: 4294967295 bytes are announced"),
        (&[0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255, 0], "byte 4: the shape [4294967295, 4294967295] is too large"),
    ];
    for (bytes, reason) in cases {
        fs::write(&path, bytes).unwrap();
        let err = message(idx::read::<u8>(&path));
        assert!(err.starts_with(path.to_str().unwrap()) && err.contains(reason), "{err}");
        // Nothing tells a gzipped file's length beforehand, and the answer is the same.
        if !bytes.is_empty() {
            fs::write(&path, gzip(bytes)).unwrap();
            let err = message(idx::read::<u8>(&path));
            assert!(err.contains(reason), "gzipped: {err}");
        }
    }
    let mut cut = gzip(&good);
    cut.truncate(cut.len() - 9);
    fs::write(&path, cut).unwrap();
    assert!(message(idx::read::<u8>(&path)).contains("byte"));
    assert!(message(idx::read::<u8>(dir.path())).contains("this is a directory"));
}

#[test]
fn a_gzip_bomb_is_not_inflated_beyond_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.gz");
    // 64 MiB of zeros after a header that announces four of them.
    let mut bytes = vec![0, 0, 8, 1, 0, 0, 0, 4];
    bytes.resize(64 << 20, 0);
    fs::write(&path, gzip(&bytes)).unwrap();
    assert!(message(idx::read::<u8>(&path)).contains("byte 12: more bytes follow than the header announces"));
}

#[test]
fn damaged_arrays_are_refused_with_place_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let file = |header: &str, data: &[u8]| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    };
    let dict = |shape: &str| format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"PK\x03\x04abcdefgh".to_vec(), "byte 0: not an array file of NumPy"),
        (b"\x93NUM".to_vec(), "byte 0: the magic number: 6 bytes are announced, but only 4 follow"),
        (b"\x93NUMPY\x09\x00aaaa".to_vec(), "byte 6: version 9.0; known are 1.0, 2.0 and 3.0"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "byte 8: a header of 4294967295 bytes"),
        (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), "byte 10: the header: 65535 bytes are announced, but only 1 follow"),
        (file(&dict("(4,)"), b"abc"), "the elements of shape [4]: 4 bytes are announced, but only 3 follow"),
        (file(&dict("(2,)"), b"abc"), "more bytes follow"),
        (file(&dict("(4000000000, 1000)"), b"abc"), "4000000000000 bytes are announced, but only 3 follow"),
        (file(&dict("(4294967296, 4294967296)"), b""), "is too large for any memory"),
        (file(&dict("(0, 4294967296, 4294967296)"), b""), "is too large for any memory"),
        (file(&dict("(99999999999999999999,)"), b""), "the size 99999999999999999999 is too large"),
        (file(&dict("(-1,)"), b""), "found `-`, wanted a size or `)`"),
        (file(&dict("2"), b""), "found `2`, wanted `(`"),
        (file(&dict(&"(".repeat(60_000)), b""), "found `(`, wanted a size or `)`"),
        (file(&dict(&format!("({})", "1,".repeat(65))), b"a"), "more than 64 axes"),
        (file("{'descr': '|u1', 'shape': (1,)}", b"a"), "the header has no key `fortran_order`"),
        (file("{'descr': '|u1', 'fortran_order': 0}", b"a"), "found `0`, wanted True or False"),
        (file("{'dtype': '|u1'}", b"a"), "the header's key `dtype`"),
        (file("{'descr", b""), "found the end, wanted `'`"),
        (file("{} x", b""), "wanted the end of the header"),
        (file("", b""), "found the end, wanted `{`"),
    ];
    for (bytes, reason) in cases {
        fs::write(&path, bytes).unwrap();
        let err = message(npy::read_any(&path));
        assert!(err.starts_with(path.to_str().unwrap()) && err.contains(reason), "{err}\nwanted: {reason}");
    }
    fs::write(&path, file("{\"shape\": (2L,),\"fortran_order\":True,'descr':'<u1'}   \n", b"ab")).unwrap();
    assert_eq!(npy::read::<u8>(&path).unwrap(), Tensor::from([97, 98]), "any order of keys, quotes, Python 2");
}

#[test]
fn damaged_archives_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    for bytes in [&b""[..], b"not a zip", &fs::read(fixture("stored.npz")).unwrap()[..300]] {
        fs::write(&path, bytes).unwrap();
        assert!(message(Npz::open(&path).map(drop)).contains("x.npz: not a readable zip archive"));
    }
    // One bit of an element: the checksum tells.
    let mut bytes = fs::read(fixture("stored.npz")).unwrap();
    let at = bytes.windows(4).position(|w| w == x32().at([0, 0]).to_le_bytes()).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let err = message(Npz::open(&path).unwrap().read_any("x"));
    assert!(err.contains("entry `x`, byte 152: cannot read on: "), "{err}");
    assert!(Npz::open(&path).unwrap().read_any("y").is_ok());
}

/// Half precision and small integers are widened, in either order of bytes.
#[test]
fn other_types_of_numpy_are_widened() {
    assert_eq!(npy::read::<f32>(fixture("f16.npy")).unwrap().to_vec(), [-0.8335, -0.5, -0.1666, 0.1666, 0.5, 0.8335].map(half));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npy");
    let read = |descr: &str, data: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}\n");
        let head = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..]].concat();
        fs::write(&path, [&head, header.as_bytes(), data].concat()).unwrap();
        npy::read_any(&path).unwrap()
    };
    assert_eq!(read("|i1", &[0x80, 0x7f]), Tensor::from([-128i32, 127]).into());
    assert_eq!(read("<i2", &[0, 0x80, 1, 0]), Tensor::from([-32768i32, 1]).into());
    assert_eq!(read(">i2", &[0x80, 0, 0, 1]), Tensor::from([-32768i32, 1]).into());
    assert_eq!(read("<u2", &[0xff, 0xff, 1, 0]), Tensor::from([65535i32, 1]).into());
    assert_eq!(read(">u4", &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1]), Tensor::from([4294967295i64, 1]).into());
    assert_eq!(read(">f2", &[0x3c, 0, 0xc0, 0]), Tensor::from([1.0f32, -2.0]).into());
}

/// The nearest number of half precision.
fn half(v: f64) -> f32 {
    half::f16::from_f64(v).to_f32()
}

#[test]
fn the_type_inside_an_array_is_told() {
    for (name, dtype) in [("u8.npy", DType::U8), ("bool.npy", DType::Bool), ("i64.npy", DType::I64), ("f64.npy", DType::F64)] {
        assert_eq!(npy::read_any(fixture(name)).unwrap().dtype(), dtype);
    }
    assert_eq!(*npy::read_any(fixture("u8.npy")).unwrap().shape(), [2, 3, 4]);
}
