//! What the readers allocate: never what a damaged header claims. Alone in its program, as it counts all that is allocated.

use gradus_data::npz::Npz;
use gradus_data::{Csv, idx, npy, pth, read_image, safetensors};
use gradus_tensor::Rng;
use peak_alloc::PeakAlloc;
use std::fs;
use std::path::Path;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

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

/// Buffers of readers and decompressors, whatever the file; and what each byte of a file may become: a digit of text or a
/// pixel of a picture is several bytes in memory.
const BUFFERS: usize = 512 << 10;
const EACH_BYTE: usize = 64;
/// The HDF5 library makes room for as many entries as two bytes of a group can claim, 65,535 of 72 bytes, and holds a few
/// such groups at once.
const SYMBOLS: usize = 16 << 20;

#[test]
fn no_reader_allocates_what_a_header_claims() {
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
