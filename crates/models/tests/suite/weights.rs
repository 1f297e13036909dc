//! Names, layouts and misfits of weights on their way into networks.

use gradus_data::npz;
use gradus_models::{ResNet18, Vgg16, Weights};
use gradus_nn::{Conv2d, Linear, Mode, Module, Sequential};
use gradus_tensor::{Rng, Tensor};
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
    for (name, reason) in [("weights.txt", "wanted .pth, .pt"), ("none.pth", "cannot open"), ("none.safetensors", "cannot read")]
    {
        let text = Weights::open(dir.path().join(name)).unwrap_err().to_string();
        assert!(text.contains(reason) && text.contains(name), "{text}");
    }
    let text = Vgg16::from_file::<f32>(&path).err().unwrap().to_string();
    assert!(text.contains("missing: [features.0.bias") && text.contains("left over: [a.weight, b.weight]"), "{text}");
}
