//! Files that Keras 3 wrote (`fixtures/make_keras.py`), and damaged ones.

use gradus_data::{Array, hdf5};
use gradus_models::Weights;
use gradus_nn::{BatchNorm2d, Conv2d, Flatten, Layer, Linear, Mode, SeparableConv2d, Sequential};
use gradus_tensor::{Rng, Tensor};
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
