//! Networks against those of other frameworks (`fixtures/make_torchvision.py` and `make_others.py`): names and shapes of all
//! weights, and what comes out for weights and pictures that a formula gives on both sides.

use gradus_data::{Array, safetensors};
use gradus_models::{ConvNet, EfficientNetLite0, MobileNetV2, ResNet18, ResNet34, ResNet50, Vgg11, Vgg13, Vgg16, Vgg19};
use gradus_nn::{Layer, Mode, Module};
use gradus_tensor::{Rng, Tensor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn case(name: &str) -> Value {
    let read = |file: &str| -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let (torchvision, others) = (read("torchvision.json"), read("others.json"));
    torchvision.get(name).or(others.get(name)).unwrap().clone()
}

fn shape_of(v: &Value) -> Vec<usize> {
    v.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

fn entries(list: &Value) -> Vec<(String, Vec<usize>)> {
    list.as_array().unwrap().iter().map(|e| (e[0].as_str().unwrap().to_owned(), shape_of(&e[1]))).collect()
}

/// The script's formula.
fn value(name: &str, shape: &[usize]) -> Tensor<f64> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |seed, b| (seed ^ u64::from(b)).wrapping_mul(0x100_0000_01B3));
    let draw = |i: usize| {
        let mut h = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed;
        h ^= h >> 31;
        h = h.wrapping_mul(0x94D0_49BB_1331_11EB);
        h ^= h >> 29;
        (h >> 40) as f64 / 8_388_608.0 - 1.0
    };
    let scale = (6.0 / shape.iter().skip(1).product::<usize>() as f64).sqrt();
    let place = |u: f64| match shape.len() {
        2.. => u * scale,
        _ if name.ends_with("running_var") => 1.0 + u / 2.0,
        _ if name.ends_with("weight") => 1.0 + u / 5.0,
        _ => u / 10.0,
    };
    Tensor::from_vec((0..shape.iter().product()).map(|i| place(draw(i))).collect(), shape)
}

/// Writes the weights that the formula gives, reads them by `load`, and compares what comes out.
fn compare(name: &str, load: impl Fn(&Path) -> ConvNet<f64>) {
    let case = &case(name);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    let array = |name: &str, shape: &[usize]| -> Array {
        match shape {
            _ if name.ends_with("num_batches_tracked") => Tensor::scalar(0i64).into(),
            // Drawn in PyTorch's layout, whose fan-in the formula reads off.
            [h, w, c, f] if name.ends_with("/kernel") => value(name, &[*f, *c, *w, *h]).permute([3, 2, 1, 0]).into(),
            _ => value(name, shape).into(),
        }
    };
    let arrays = entries(&case["entries"]).iter().map(|(name, shape)| (name.clone(), array(name, shape))).collect();
    safetensors::write(&path, &arrays, &BTreeMap::new()).unwrap();
    let net = load(&path);
    let size = case["size"].as_u64().unwrap() as usize;
    let picture = value("picture", &[2, 3, size, size]).into();
    let y = if net.classifier.is_empty() {
        net.features.forward(&picture, &mut Mode::Eval)
    } else {
        net.forward(&picture, &mut Mode::Eval)
    };
    assert_eq!(y.shape()[..], shape_of(&case["shape"])[..], "{name}");
    let expected: Vec<f64> = case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for (i, (got, expected)) in y.value().to_vec().iter().zip(&expected).enumerate() {
        assert!((got - expected).abs() < 1e-8 * largest, "{name}, output {i}: {got} where {expected} is right");
    }
    let (sum, expected) = (y.value().sum(..).item(), case["sum"].as_f64().unwrap());
    assert!((sum - expected).abs() < 1e-8 * expected.abs(), "{name}: the sum is {sum}, {expected} is right");
}

#[test]
fn resnets() {
    compare("resnet18", |path| ResNet18::from_file(path).unwrap());
    compare("resnet34", |path| ResNet34::from_file(path).unwrap());
    compare("resnet50", |path| ResNet50::from_file(path).unwrap());
}

#[test]
fn small_networks() {
    compare("mobilenet_v2", |path| MobileNetV2::from_file(path).unwrap());
    compare("efficientnet_lite0", |path| EfficientNetLite0::from_file(path).unwrap());
}

#[test]
fn weights_of_keras() {
    compare("keras_vgg16", |path| Vgg16::from_file(path).unwrap());
}

#[test]
fn vgg_bases() {
    for name in ["vgg11", "vgg11_bn"] {
        compare(name, |path| Vgg11::from_file(path).unwrap());
    }
    compare("vgg13", |path| Vgg13::from_file(path).unwrap());
    for name in ["vgg16", "vgg16_bn"] {
        compare(name, |path| Vgg16::from_file(path).unwrap());
    }
    compare("vgg19", |path| Vgg19::from_file(path).unwrap());
}

/// With their tops, which are too large to fill in a test: torchvision's names and shapes.
#[test]
fn vgg_with_its_top_has_torchvisions_entries() {
    let rng = &mut Rng::seed(0);
    for (name, net) in [("vgg16", Vgg16::new::<f32>(10, rng)), ("vgg11_bn", Vgg11::with_batch_norm(10, rng))] {
        let own: BTreeSet<(String, Vec<usize>)> = net.state_dict().into_iter().map(|(k, v)| (k, v.shape().to_vec())).collect();
        let theirs = entries(&case(name)["with_top"]);
        let theirs: BTreeSet<_> = theirs.into_iter().filter(|(k, _)| !k.ends_with("num_batches_tracked")).collect();
        assert_eq!(own, theirs, "{name}");
    }
}
