//! Weights in files: there and back, and what is said of files that are not what they should be.

use crate::common::{bits, net, plain_net};
use gradus_autograd::{Buffer, Module, Param};
use gradus_data::{Array, safetensors};
use gradus_nn::{BatchNorm1d, Layer, Linear, Mode, Relu, Sequential};
use gradus_tensor::{Rng, Tensor};
use gradus_train::{load_tensors, load_weights, save_tensors, save_weights};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    (dir, path)
}

/// What loading this file into a net says, which must leave the net as it was.
fn refusal(path: &Path) -> String {
    let mut into = plain_net(2);
    let before = bits(&into.state_dict());
    let text = load_weights(&mut into, path).unwrap_err().to_string();
    assert_eq!(bits(&into.state_dict()), before);
    assert!(text.starts_with(&path.display().to_string()), "{text}");
    text
}

#[test]
fn weights_and_buffers_come_back_bit_for_bit() {
    let (_dir, path) = folder();
    let from = net(1);
    from.named_buffers()[0].1.set(Tensor::full(from.named_buffers()[0].1.get().shape(), f32::MIN_POSITIVE / 3.0));
    save_weights(&from, &path).unwrap();
    let mut into = net(2);
    load_weights(&mut into, &path).unwrap();
    assert_eq!(bits(&into.state_dict()), bits(&from.state_dict()));
    let once = std::fs::read(&path).unwrap();
    save_weights(&into, &path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), once, "the same weights are the same file");
}

#[test]
fn double_precision_keeps_all_its_bits() {
    let (_dir, path) = folder();
    let from: (Param<f64>, Buffer<f64>) =
        (Param::new(Tensor::from([1.0 / 3.0, f64::MIN_POSITIVE / 7.0, -0.0])), Buffer::new(Tensor::from([[f64::INFINITY]])));
    save_weights(&from, &path).unwrap();
    let mut into: (Param<f64>, Buffer<f64>) = (Param::new(Tensor::zeros([3])), Buffer::new(Tensor::zeros([1, 1])));
    load_weights(&mut into, &path).unwrap();
    assert_eq!(
        into.state_dict()["0"].to_vec().iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
        from.state_dict()["0"].to_vec().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    );
    assert_eq!(into.1.get(), from.1.get());
    let mut single: (Param<f32>, Buffer<f32>) = (Param::new(Tensor::zeros([3])), Buffer::new(Tensor::zeros([1, 1])));
    let text = load_weights(&mut single, &path).unwrap_err().to_string();
    assert!(text.contains("tensor `0`: is f64 and would lose digits as f32: 0.3333333333333333 would become"), "{text}");
    assert!(text.contains("allow_rounding"), "{text}");
    // What single precision holds as well is no loss.
    into.0.set(Tensor::from([0.5, -0.0, f64::NAN]));
    save_weights(&into, &path).unwrap();
    load_weights(&mut single, &path).unwrap();
    assert_eq!(single.state_dict()["0"].to_vec()[..2], [0.5, -0.0]);
    save_weights(&single, &path).unwrap();
    load_weights(&mut into, &path).unwrap();
    assert_eq!(into.state_dict()["0"].to_vec()[..2], [0.5, -0.0]);
}

#[test]
fn tensors_that_are_views_scalars_or_empty_are_stored_as_they_look() {
    let (_dir, path) = folder();
    let x = Tensor::<f32>::arange(0.0, 6.0, 1.0).reshape([2, 3]);
    let tensors = BTreeMap::from([
        ("transposed".to_string(), x.permute([1, 0])),
        ("scalar".to_string(), Tensor::scalar(4.0)),
        ("empty".to_string(), Tensor::zeros([0, 5])),
    ]);
    let text = BTreeMap::from([("what \"it\" is".to_string(), "a \u{fc}nique\nline".to_string())]);
    save_tensors(&path, &tensors, &text).unwrap();
    assert_eq!(load_tensors::<f32>(&path).unwrap(), (tensors, text));
}

#[test]
fn what_does_not_fit_the_net_is_named_by_path() {
    let (_dir, path) = folder();
    let mut state = plain_net(1).state_dict();
    let bias = state.remove("2.bias").unwrap();
    state.insert("3.bias".into(), bias);
    state.insert("0.weight".into(), Tensor::zeros([24, 3]));
    save_tensors(&path, &state, &BTreeMap::new()).unwrap();
    let text = refusal(&path);
    for part in ["missing: [2.bias]", "left over: [3.bias]", "0.weight is [24, 3] where [24, 2] is wanted"] {
        assert!(text.contains(part), "{text}");
    }
    let other: Sequential = Sequential::new().add(Linear::new(2, 2, &mut Rng::seed(0))).add(BatchNorm1d::new(2));
    save_weights(&other, &path).unwrap();
    assert!(refusal(&path).contains("1.running_var"));
}

/// A safetensors file of a header and data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn damaged_files_are_refused_with_path_and_reason() {
    let (dir, path) = folder();
    save_weights(&plain_net(1), &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for end in [0, 4, 8, 40, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..end]).unwrap();
        assert!(refusal(&path).contains("not a whole safetensors file"), "cut off at {end}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    std::fs::write(&path, &longer).unwrap();
    assert!(refusal(&path).contains("not a whole safetensors file"));

    let tensor = |dtype: &str, shape: &str, end: usize| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    for (bytes, wanted) in [
        (u64::MAX.to_le_bytes().to_vec(), "not a whole safetensors file"),
        ([99_999_999u64.to_le_bytes().to_vec(), b"{}".to_vec()].concat(), "not a whole safetensors file"),
        (file("not json", &[]), "not a whole safetensors file"),
        (file(&tensor("F32", "[1000000,1000000]", 4_000_000_000_000), &[0; 8]), "not a whole safetensors file"),
        (file(&tensor("F32", "[9223372036854775807,9]", 4), &[0; 4]), "too large"),
        (file(&tensor("F32", "[2]", 4), &[0; 4]), "not a whole safetensors file"),
        (file(&tensor("I64", "[1]", 8), &[0; 8]), "missing: [0.bias"),
        (file(&tensor("F64", "[1]", 8), &[0; 8]), "left over: [w]"),
        (file(&tensor("F32", "[0,4611686018427387904,4611686018427387904]", 0), &[]), "too large"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let text = refusal(&path);
        assert!(text.contains(wanted), "`{text}` has no `{wanted}`");
    }
    assert!(refusal(&dir.path().join("none.safetensors")).contains("cannot read"));
    assert!(refusal(dir.path()).contains("cannot read"));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let (dir, _) = folder();
    let path = dir.path().join("none/weights.safetensors");
    let text = save_weights(&plain_net(1), &path).unwrap_err().to_string();
    assert!(text.contains("none/weights.safetensors"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_an_error_and_the_old_file_stays() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, path) = folder();
    save_weights(&plain_net(1), &path).unwrap();
    let old = std::fs::read(&path).unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write anywhere; for it, /proc takes the part of the read-only folder.
    let privileged = std::fs::File::create(dir.path().join("probe")).is_ok();
    let target = if privileged { PathBuf::from("/proc/weights.safetensors") } else { path.clone() };
    let text = save_weights(&plain_net(2), &target).unwrap_err().to_string();
    assert!(text.contains("weights.safetensors"), "{text}");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), old);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens to a file's bytes, loading it neither panics nor takes more than its size.
    #[test]
    fn no_damage_makes_loading_panic(
        changes in proptest::collection::vec((0.0f64..1.0, any::<u8>(), any::<bool>()), 1..6),
        cut in proptest::option::of(0.0f64..1.0),
    ) {
        let (_dir, path) = folder();
        let small: (Param<f32>, Buffer<f32>) = (Param::new(Tensor::zeros([2, 3])), Buffer::new(Tensor::zeros([2])));
        save_weights(&small, &path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, value, digit) in changes {
            let at = (at * bytes.len() as f64) as usize;
            // Digits in the header change shapes and offsets where other bytes would only break the JSON.
            bytes[at] = if digit && bytes[at].is_ascii_digit() { b'0' + value % 10 } else if digit { continue } else { value };
        }
        if let Some(cut) = cut {
            bytes.truncate((cut * bytes.len() as f64) as usize);
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut into = small;
        match load_weights(&mut into, &path) {
            Ok(()) => prop_assert_eq!(into.state_dict()["0"].numel(), 6),
            Err(e) => prop_assert!(e.to_string().contains("weights.safetensors")),
        }
    }

    /// Nor that of a checkpoint, which holds more that can be wrong.
    #[test]
    fn no_damage_makes_resuming_panic(changes in proptest::collection::vec((0.0f64..1.0, any::<u8>()), 1..4)) {
        static FILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let (_dir, path) = folder();
        let data = crate::common::spirals(12, 1);
        let fresh = || crate::common::trainer(plain_net(1), gradus_optim::Adam::new(0.01));
        let mut bytes = FILE.get_or_init(|| {
            let fit = crate::common::quiet(1).batch(8).checkpoint(&path).checkpoint_every(1);
            fresh().callback(crate::common::PowerCut(2)).fit(&data, &data, fit).unwrap_err();
            std::fs::read(&path).unwrap()
        }).clone();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for (at, value) in changes {
            let at = 8 + (at * (header - 8) as f64) as usize;
            bytes[at] = if bytes[at].is_ascii_digit() { b'0' + value % 10 } else { 32 + value % 95 };
        }
        std::fs::write(&path, &bytes).unwrap();
        // Some damage is no damage; the rest must be an error, not a panic.
        let _ = fresh().fit(&data, &data, crate::common::quiet(1).batch(8).resume(&path));
    }
}

/// PyTorch's own safetensors of a network with batch normalisation hold a counter of `i64`, and may be of half precision
/// (`crates/models/tests/fixtures/make_batch_norm.py`).
#[test]
fn pytorchs_networks_with_batch_norm_are_loaded() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures");
    let text = std::fs::read_to_string(fixtures.join("batch_norm.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = |name: &str| json[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect::<Vec<_>>();
    for (name, most) in [("batch_norm.safetensors", 1e-6), ("batch_norm_half.safetensors", 5e-3)] {
        let rng = &mut Rng::seed(0);
        let mut net: Sequential =
            Sequential::new().add(Linear::new(3, 4, rng)).add(BatchNorm1d::new(4)).add(Relu).add(Linear::new(4, 2, rng));
        load_weights(&mut net, fixtures.join(name)).unwrap();
        let y = net.forward(&Tensor::from_vec(list("x"), [2, 3]).into(), &mut Mode::Eval);
        for (found, expected) in y.value().to_vec().iter().zip(list("y")) {
            assert!((found - expected).abs() <= most, "{name}: {found}, by PyTorch {expected}");
        }
    }
}

/// Integers where floats are expected are an error; where nothing is expected, they are passed over.
#[test]
fn integers_are_not_taken_for_weights() {
    let (_dir, path) = folder();
    let state = plain_net(1).state_dict();
    let mut arrays: BTreeMap<String, Array> = state.iter().map(|(name, t)| (name.clone(), Array::of(t))).collect();
    arrays.insert("position_ids".into(), Tensor::from([0i64, 1, 2]).into());
    arrays.insert("mask".into(), Tensor::from([true, false]).into());
    safetensors::write(&path, &arrays, &BTreeMap::new()).unwrap();
    let mut into = plain_net(2);
    load_weights(&mut into, &path).unwrap();
    assert_eq!(bits(&into.state_dict()), bits(&state));
    for wrong in
        [Array::from(Tensor::from([1i64, 2, 3])), Tensor::from([16_777_217i32, 0, 0]).into(), Tensor::from([1u8, 2, 3]).into()]
    {
        let is = format!("{:?}", wrong.dtype()).to_lowercase();
        arrays.insert("2.bias".into(), wrong);
        safetensors::write(&path, &arrays, &BTreeMap::new()).unwrap();
        assert!(refusal(&path).contains(&format!("tensor `2.bias`: is {is}; expected f32")), "{}", refusal(&path));
    }
}
