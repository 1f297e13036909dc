//! Files that Keras 3 wrote (`fixtures/make_keras.py`), and damaged ones.

use gradus_data::{Array, MemoryLimit, hdf5};
use gradus_models::Weights;
use gradus_nn::{BatchNorm2d, Conv2d, Flatten, Layer, Linear, Mode, SeparableConv2d, Sequential};
use gradus_tensor::{DType, Rng, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn tensor(name: &str, shape: &[usize]) -> Tensor<f32> {
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(fixture("keras.json")).unwrap()).unwrap();
    Tensor::from_vec(json[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect(), shape)
}

#[test]
fn all_three_formats_compute_what_keras_did() {
    for file in ["keras.keras", "keras.h5", "keras.weights.h5"] {
        let rng = &mut Rng::seed(1);
        let mut net: Sequential = Sequential::new()
            .push("first", Conv2d::new(3, 4, 3, rng))
            .push("batch_normalization", BatchNorm2d::new(4).eps(1e-3))
            .push("depthwise_conv2d", Conv2d::depthwise(4, 2, 3, rng))
            .push("separable_conv2d", SeparableConv2d::new(8, 5, [3, 2], rng).same())
            .push("flatten", Flatten)
            .push("dense", Linear::new(5 * 4 * 3, 2, rng));
        let weights = Weights::open(fixture(file)).unwrap().from_keras().unwrap();
        weights.unflatten("dense.weight", [5, 4, 3]).unwrap().load(&mut net).unwrap();
        let y = net.forward(&tensor("x", &[2, 3, 8, 7]).into(), &mut Mode::Eval);
        let wrong = (y.value() - &tensor("y", &[2, 2])).abs().max(..).item();
        assert!(wrong < 1e-5, "{file}: {wrong}");
    }
}

#[test]
fn damaged_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.h5");
    let rng = &mut Rng::seed(0);
    for name in ["keras.keras", "keras.h5", "keras.weights.h5"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let sound: BTreeMap<String, Array> = hdf5::read(fixture(name)).unwrap();
        let elements = |arrays: &BTreeMap<String, Array>| arrays.values().map(|a| a.shape().numel()).sum::<usize>();
        let (mut refused, mut most) = (0, 0);
        for _ in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..1 + rng.below(8) {
                let at = rng.below(bytes.len());
                bytes[at] = [0, 0xFF, 0x80, 1, rng.below(256) as u8][rng.below(5)];
            }
            if rng.below(4) == 0 {
                bytes.truncate(rng.below(bytes.len()));
            }
            std::fs::write(&path, bytes).unwrap();
            match hdf5::read(&path) {
                Ok(arrays) => most = most.max(elements(&arrays)),
                Err(e) => {
                    assert!(e.to_string().contains("x.h5"), "{e}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 20, "{name}: {refused} of 400 damaged files were refused");
        assert!(most <= 16 * elements(&sound), "{name}: {most} elements");
    }
    std::fs::write(&path, b"no such file").unwrap();
    assert!(hdf5::read(&path).unwrap_err().to_string().contains("not a readable HDF5 file"));
}

/// Every type of numbers in either order of bytes, by h5py (`fixtures/make_numbers.py`).
#[test]
fn numbers_of_every_type_are_widened() {
    let all = hdf5::read(fixture("numbers.h5")).unwrap();
    for (name, dtype, low, high) in [
        ("f2", DType::F32, -0.5, 65504.0),
        ("f4", DType::F32, -0.5, 65504.0),
        ("f8", DType::F64, -0.5, 65504.0),
        ("i1", DType::I32, -128.0, 127.0),
        ("i2", DType::I32, -32768.0, 32767.0),
        ("i4", DType::I32, -2147483648.0, 2147483647.0),
        ("i8", DType::I64, i64::MIN as f64, i64::MAX as f64),
        ("u1", DType::U8, 0.0, 255.0),
        ("u2", DType::I32, 0.0, 65535.0),
        ("u4", DType::I64, 0.0, 4294967295.0),
    ] {
        for order in ["little", "big"] {
            let array = &all[&format!("{order}/{name}")];
            assert_eq!((array.dtype(), array.shape().to_vec()), (dtype, vec![1, 3]), "{order} {name}");
            assert_eq!(array.cast::<f64>().to_vec(), [low, 1.0, high], "{order} {name}");
        }
    }
    assert!(all.keys().all(|name| !name.starts_with("passed")), "{:?}", all.keys());
}

#[test]
fn seeds_of_dropout_are_no_weights() {
    let weights = Weights::open(fixture("seeded.weights.h5")).unwrap();
    assert_eq!(weights.get("layers/dropout/seed_generator/seed_generator/0").unwrap().get::<i64>(), Some(Tensor::from([7, 8])));
    assert_eq!(weights.from_keras().unwrap().names().collect::<Vec<_>>(), ["dense.bias", "dense.weight"]);
}

#[test]
fn a_flipped_bit_in_a_keras_archive_is_found() {
    let whole = std::fs::read(fixture("keras.keras")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.keras");
    // The HDF5 file starts with its signature, and is most of the archive.
    let start = whole.windows(8).position(|w| w == b"\x89HDF\r\n\x1a\n").unwrap();
    for at in (start..start + 20_000).step_by(997) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        std::fs::write(&path, bytes).unwrap();
        let text = hdf5::read(&path).unwrap_err().to_string();
        assert!(text.contains("x.keras, entry `model.weights.h5`: is damaged: its CRC-32 is"), "byte {at}: {text}");
    }
    let text = hdf5::read_with(fixture("keras.h5"), MemoryLimit::bytes(35_000)).unwrap_err().to_string();
    assert!(text.contains("MemoryLimit::bytes"), "{text}");
}
