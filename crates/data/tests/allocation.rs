//! What the readers allocate: never what a damaged header claims. Alone in its program, as it counts all that is allocated.

use gradus_data::npz::Npz;
use gradus_data::{Csv, MemoryLimit, idx, npy, pth, read_image, read_image_with, safetensors};
use gradus_tensor::Rng;
use peak_alloc::PeakAlloc;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// The tests here count what all threads allocate.
static ALONE: Mutex<()> = Mutex::new(());

/// Reads a file and lets go of what it holds.
type Read = fn(&Path);

fn archive(path: &Path) {
    let Ok(mut archive) = Npz::open(path) else { return };
    let names: Vec<String> = archive.names().into_iter().map(String::from).collect();
    names.iter().for_each(|name| drop(archive.read_any(name)));
}

const READERS: &[(Read, &[&str])] = &[
    (|path| drop(npy::read_any(path)), &["f32.npy", "f64_fortran.npy", "f32_version_2.npy", "u8.npy"]),
    (archive, &["stored.npz", "deflated.npz"]),
    (|path| drop(safetensors::read(path)), &["state.safetensors"]),
    (|path| drop(pth::read(path)), &["state.pth", "state_stream.pth", "checkpoint.pth", "evil.pth"]),
    (|path| drop(idx::read::<u8>(path)), &["numbers.idx"]),
    (|path| drop(Csv::new(path).header(false).read_inputs::<f32>()), &["numbers.csv"]),
    (|path| drop(read_image(path)), &["rgb.png", "halves.jpg"]),
    #[cfg(feature = "hdf5")]
    (
        |path| drop(gradus_data::hdf5::read(path)),
        &["../../../models/tests/fixtures/keras.h5", "../../../models/tests/fixtures/keras.weights.h5"],
    ),
];

fn fixture(name: &str) -> Vec<u8> {
    match name {
        // Two axes of 2 and 3, and six bytes.
        "numbers.idx" => [&[0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[1, 2, 3, 4, 5, 6]].concat(),
        "numbers.csv" => b"1,2.5,-3e4\n4,5,6\n7,8,9\n".to_vec(),
        _ => fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap(),
    }
}

/// Up to five bytes changed, mostly near the start, to what makes sizes large.
fn damaged(mut file: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    for _ in 0..rng.below(6) {
        let within = if rng.below(2) == 0 { file.len().min(100) } else { file.len() };
        let byte = [0xFF, 0x7F, 0x80, b'9', rng.below(256) as u8][rng.below(5)];
        let at = rng.below(within);
        file[at] = byte;
    }
    if rng.below(4) == 0 {
        file.truncate(rng.below(file.len()).max(1));
    }
    file
}

/// Files that are made to take much: what a small file makes of memory is 1 MiB and 64 bytes for each of its own at most.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let start = fixture("state_stream.pth");
    let header = start.windows(2).enumerate().filter(|(_, w)| *w == b"\x80\x02").map(|(i, _)| i).nth(3).unwrap();
    let stream = |pickle: &[u8]| {
        let storage: &[u8] = b"\x80\x02]X\x01\x00\x00\x000a.\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        [&start[..header], b"\x80\x02", pickle, storage].concat()
    };
    let tensor: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\nq\x07((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000\
X\x03\0\0\0cpuK\x02NtQK\0K\x01\x85K\x01\x85\x89Ntq\x08Rq\x09";
    let named =
        |names: Vec<u8>| stream(&[b"}X\x01\0\0\0t", tensor, b"sX\xe8\x03\0\0", &[b'n'; 1000], b"}(", &names, b"us."].concat());
    let repeated = |item: &[u8], n: usize| stream(&[b"}", tensor, b"0", &item.repeat(n), b"."].concat());
    vec![
        ("a long key before many names", named((0..20_000u16).flat_map(|i| [b'M', i as u8, (i >> 8) as u8, b'h', 9]).collect())),
        ("a tensor made again", repeated(b"h\x07h\x08R0", 20_000)),
        ("a tensor made again and remembered", repeated(b"h\x07h\x08R\x94", 20_000)),
        ("a value remembered again", repeated(b"\x94", 100_000)),
        ("a value remembered far away", repeated(b"r\x00\x80\x00\x00", 1000)),
        ("empty lists", repeated(b"]", 100_000)),
        ("empty dictionaries", repeated(b"}0", 100_000)),
        ("marks", repeated(b"(", 100_000)),
        ("truth values on the stack", repeated(b"\x88", 100_000)),
        ("tuples of what is remembered", repeated(b"h\x09h\x09\x86", 20_000)),
        (
            "storages named again",
            repeated(b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02NtQ0", 2000),
        ),
    ]
}

#[test]
fn small_files_take_little_whatever_they_ask_for() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pth");
    for (name, file) in hostile() {
        fs::write(&path, &file).unwrap();
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let read = pth::read(&path).map(|all| all.len());
        let took = ALLOCATED.peak_usage() - before;
        let allowed = (1 << 20) + EACH_BYTE * file.len() + BUFFERS;
        assert!(took <= allowed, "{name}: {took} bytes for a file of {}; allowed: {allowed} ({read:?})", file.len());
    }
}

/// An image of 1024 x 1024 in about a kilobyte: what it may take is what it takes.
#[test]
fn the_cost_of_an_image_is_counted_in_full() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.png");
    let pixels = 1usize << 20;
    for (color, depth, bytes) in [
        (png::ColorType::Rgb, png::BitDepth::Eight, 3),
        (png::ColorType::Grayscale, png::BitDepth::Eight, 1),
        (png::ColorType::Rgba, png::BitDepth::Sixteen, 8),
    ] {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 1024, 1024);
        encoder.set_color(color);
        encoder.set_depth(depth);
        encoder.write_header().unwrap().write_image_data(&vec![0; pixels * bytes]).unwrap();
        fs::write(&path, &file).unwrap();
        // The file, the samples and what they had before they grew, and the tensor.
        let cost = file.len() + pixels * bytes * 3 / 2 + pixels * 12;
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        drop(read_image_with(&path, MemoryLimit::bytes(cost as u64)).unwrap());
        let took = ALLOCATED.peak_usage() - before;
        assert!(took <= cost + BUFFERS, "{color:?}: {took} bytes; counted: {cost}");
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        assert!(read_image_with(&path, MemoryLimit::bytes(cost as u64 - 1)).is_err());
        assert!(ALLOCATED.peak_usage() - before <= BUFFERS, "refused before it is decoded");
    }
}

/// Buffers of readers and decompressors, whatever the file; and what each byte of a file may become: a digit of text or a
/// pixel of a picture is several bytes in memory.
const BUFFERS: usize = 512 << 10;
const EACH_BYTE: usize = 64;
/// The HDF5 library makes room for as many entries as two bytes of a group can claim, 65,535 of 72 bytes, and holds a few
/// such groups at once.
const SYMBOLS: usize = 16 << 20;

#[test]
fn no_reader_allocates_what_a_header_claims() {
    let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let rng = &mut Rng::seed(1);
    for (read, names) in READERS {
        for name in *names {
            let (path, whole) = (folder.path().join(Path::new(name).file_name().unwrap()), fixture(name));
            for round in 0..300 {
                let file = if round == 0 { whole.clone() } else { damaged(whole.clone(), rng) };
                fs::write(&path, &file).unwrap();
                let before = ALLOCATED.current_usage();
                ALLOCATED.reset_peak_usage();
                read(&path);
                let took = ALLOCATED.peak_usage() - before;
                let allowed = if name.contains("keras") { SYMBOLS } else { BUFFERS } + EACH_BYTE * file.len();
                assert!(took <= allowed, "{name}, round {round}: {took} bytes for a file of {}; allowed: {allowed}", file.len());
            }
        }
    }
}
