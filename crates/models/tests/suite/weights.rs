//! Names, layouts and misfits of weights on their way into networks.

use gradus_data::{Array, MemoryLimit, npz};
use gradus_models::{ResNet18, Vgg16, Weights};
use gradus_nn::{BatchNorm1d, Conv2d, Layer, Linear, Mode, Module, Relu, Sequential};
use gradus_tensor::{DType, Rng, Tensor};
use std::path::PathBuf;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.npz");
    (dir, path)
}

/// A convolution and a dense layer in Keras' layout, against loops that follow its definition.
#[test]
fn keras_layouts_compute_what_keras_defines() {
    let (_dir, path) = folder();
    let rng = &mut Rng::seed(1);
    let kernel = Tensor::<f32>::uniform([2, 3, 2, 4], -1.0, 1.0, rng); // [KH, KW, C, F]
    let dense = Tensor::<f32>::uniform([2 * 2 * 4, 3], -1.0, 1.0, rng); // [in, out], in = (row, column, channel)
    let bias = Tensor::<f32>::uniform([4], -1.0, 1.0, rng);
    let arrays =
        [("conv/kernel", &kernel), ("conv/bias", &bias), ("top/fc/kernel", &dense), ("top/fc/bias:0", &Tensor::zeros([3]))];
    npz::write(&path, arrays.map(|(name, t)| (name, t.into()))).unwrap();
    let weights = Weights::open(&path).unwrap().from_keras().unwrap().unflatten("fc.weight", [4, 2, 2]).unwrap();
    let weights = weights.rename(|name| Some(name.replace("conv", "0").replace("fc", "1"))).unwrap();
    let mut net = Sequential::<f32>::new().add(Conv2d::new(2, 4, [2, 3], rng)).add(Linear::new(16, 3, rng));
    weights.load(&mut net).unwrap();

    let x = Tensor::<f32>::uniform([1, 2, 3, 4], -1.0, 1.0, rng);
    let maps = net.get("0").unwrap().forward(&x.clone().into(), &mut Mode::Eval);
    let y = net.get("1").unwrap().forward(&maps.reshape([1, 16]), &mut Mode::Eval);
    let mut expected = [0.0f32; 3];
    for (row, col, f) in (0..2).flat_map(|r| (0..2).flat_map(move |c| (0..4).map(move |f| (r, c, f)))) {
        let mut sum = bias.at([f]);
        for (i, j, c) in (0..2).flat_map(|i| (0..3).flat_map(move |j| (0..2).map(move |c| (i, j, c)))) {
            sum += x.at([0, c, row + i, col + j]) * kernel.at([i, j, c, f]);
        }
        for (k, out) in expected.iter_mut().enumerate() {
            *out += sum * dense.at([(row * 2 + col) * 4 + f, k]);
        }
    }
    assert!((y.value() - &Tensor::from([expected])).abs().max(..).item() < 1e-5);
}

#[test]
fn every_misfit_is_named_and_nothing_is_changed() {
    let (_dir, path) = folder();
    let mut net = ResNet18::new::<f32>(10, &mut Rng::seed(0));
    let mut state = net.state_dict();
    let bias = state.remove("classifier.fc.bias").unwrap();
    state.insert("classifier.bias".into(), bias);
    state.insert("features.conv1.weight".into(), Tensor::zeros([64, 3, 3, 3]));
    npz::write(&path, state.iter().map(|(name, t)| (name, t.into()))).unwrap();
    let before = net.state_dict();
    let text = Weights::open(&path).unwrap().load(&mut net).unwrap_err().to_string();
    for part in [
        "weights.npz",
        "missing: [classifier.fc.bias]",
        "left over: [classifier.bias]",
        "features.conv1.weight is [64, 3, 3, 3] where [64, 3, 7, 7] is wanted",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(before == net.state_dict());
}

#[test]
fn bad_files_and_names_are_refused() {
    let (dir, path) = folder();
    let x = Tensor::<f32>::ones([2, 2]);
    let keras = |arrays: &[(&str, &Tensor<f32>)]| {
        npz::write(&path, arrays.iter().map(|(name, t)| (name, (*t).into()))).unwrap();
        Weights::open(&path).unwrap().from_keras().unwrap_err().to_string()
    };
    assert!(keras(&[("kernel", &x)]).contains("is not named LAYER/KIND"));
    assert!(keras(&[("a/what", &x)]).contains("is a `what` of shape [2, 2]; wanted kernel"));
    assert!(keras(&[("a/kernel", &Tensor::ones([2]))]).contains("wanted 2 to 5 axes"));
    assert!(keras(&[("a/depthwise_kernel", &x)]).contains("wanted [KH, KW, C, multiplier]"));
    assert!(keras(&[("a/kernel", &x), ("b/a/kernel", &x)]).contains("is a second one of its layer and kind"));

    npz::write(&path, [("a.weight", (&x).into()), ("b.weight", (&x).into())]).unwrap();
    let weights = || Weights::open(&path).unwrap();
    assert!(weights().rename(|_| Some("c".into())).unwrap_err().to_string().contains("would both be `c`"));
    assert!(weights().within("d").unwrap_err().to_string().contains("no weights under `d.`"));
    assert!(weights().unflatten("a.weight", [3, 1, 1]).unwrap_err().to_string().contains("wanted [out, 3]"));
    assert_eq!(weights().within("a").unwrap().names().collect::<Vec<_>>(), ["weight"]);
    for (name, reason) in
        [("weights.txt", "expected .safetensors, .npz, .pth"), ("none.pth", "cannot open"), ("none.safetensors", "cannot read")]
    {
        let text = Weights::open(dir.path().join(name)).unwrap_err().to_string();
        assert!(text.contains(reason) && text.contains(name), "{text}");
    }
    let text = Vgg16::from_file::<f32>(&path).err().unwrap().to_string();
    assert!(text.contains("missing: [features.0.bias") && text.contains("left over: [a.weight, b.weight]"), "{text}");
}

fn fixture(name: &str) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The same network from every format, by PyTorch (`fixtures/make_batch_norm.py`).
#[test]
fn integers_and_other_precisions_are_what_they_are() {
    let text = std::fs::read_to_string(fixture("batch_norm.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = |name: &str| json[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect::<Vec<_>>();
    let fresh = || {
        let rng = &mut Rng::seed(0);
        Sequential::<f32>::new().add(Linear::new(3, 4, rng)).add(BatchNorm1d::new(4)).add(Relu).add(Linear::new(4, 2, rng))
    };
    for name in
        ["batch_norm.pth", "batch_norm.npz", "batch_norm.safetensors", "batch_norm_half.safetensors", "batch_norm_double.pth"]
    {
        let weights = Weights::open(fixture(name)).unwrap();
        let tracked = weights.get("1.num_batches_tracked").unwrap();
        assert_eq!((tracked.dtype(), tracked.get::<i64>().unwrap().item()), (DType::I64, 3), "{name}");
        let mut net = fresh();
        // The doubles were made of singles, and lose nothing.
        weights.load(&mut net).unwrap();
        let y = net.forward(&Tensor::from_vec(list("x"), [2, 3]).into(), &mut Mode::Eval);
        let most = if name.contains("half") { 5e-3 } else { 1e-6 };
        for (found, expected) in y.value().to_vec().iter().zip(list("y")) {
            assert!((found - expected).abs() <= most, "{name}: {found}, by PyTorch {expected}");
        }
    }
}

#[test]
fn what_would_be_rounded_is_an_error_unless_allowed() {
    let (_dir, path) = folder();
    let mut net = Sequential::<f32>::new().add(Linear::new(1, 2, &mut Rng::seed(0)));
    let arrays = |weight: Array| [("0.weight", weight), ("0.bias", Tensor::from([0.0f32, 1.0]).into())];
    for (weight, reason, rounded) in [
        (
            Array::from(Tensor::from([[0.1f64], [0.5]])),
            "is f64 and would lose digits as f32: 0.1 would become 0.1",
            [0.1f32, 0.5],
        ),
        (Tensor::from([[1e300f64], [0.5]]).into(), "would become inf", [f32::INFINITY, 0.5]),
        (Tensor::from([[16_777_217i64], [3]]).into(), "is i64; expected f32", [16_777_216.0, 3.0]),
        (Tensor::from([[true], [false]]).into(), "is bool; expected f32", [1.0, 0.0]),
    ] {
        npz::write(&path, arrays(weight)).unwrap();
        let weights = Weights::open(&path).unwrap();
        let before = net.state_dict();
        let text = weights.load(&mut net).unwrap_err().to_string();
        for part in ["weights.npz", "tensor `0.weight`", reason, "allow_rounding"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(net.state_dict() == before);
        weights.allow_rounding().load(&mut net).unwrap();
        assert_eq!(net.state_dict()["0.weight"].to_vec(), rounded);
    }
    // A network of doubles takes singles as they are.
    npz::write(&path, arrays(Tensor::from([[0.1f32], [0.5]]).into())).unwrap();
    let mut wide = Sequential::<f64>::new().add(Linear::new(1, 2, &mut Rng::seed(0)));
    Weights::open(&path).unwrap().load(&mut wide).unwrap();
    assert_eq!(wide.state_dict()["0.weight"].to_vec(), [f64::from(0.1f32), 0.5]);
}

/// Reordering keeps the type: integers stay integers.
#[test]
fn layouts_of_integers_stay_integers() {
    let (_dir, path) = folder();
    npz::write(&path, [("fc.weight", Tensor::from([[16_777_217i64, 2, 3, 4]]).into())]).unwrap();
    let weights = Weights::open(&path).unwrap().unflatten("fc.weight", [2, 1, 2]).unwrap();
    assert_eq!(weights.get("fc.weight").unwrap().get::<i64>().unwrap().to_vec(), [16_777_217, 3, 2, 4]);
}

#[test]
fn a_file_may_be_given_more_memory() {
    let text = Weights::open_with(fixture("batch_norm.pth"), MemoryLimit::bytes(1000)).unwrap_err().to_string();
    assert!(text.contains("MemoryLimit::bytes"), "{text}");
    for name in ["batch_norm.pth", "batch_norm.npz"] {
        assert!(Weights::open_with(fixture(name), MemoryLimit::unlimited()).is_ok());
    }
}
