//! Transforms of pictures: against torchvision's figures, against naive references, and the same for the same seed.

use gradus_data::transforms::*;
use gradus_data::{Cifar10, DataError, Dataset, Labelled, TensorDataset, npz::Npz};
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;
use std::path::Path;

fn message<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

/// A picture whose values tell their places: `100 channel + 10 row + column`.
fn counted(shape: [usize; 3]) -> Tensor<f32> {
    Tensor::from_fn(shape, |i| (100 * i[0] + 10 * i[1] + i[2]) as f32)
}

fn apply(transform: impl Transform, picture: &Tensor<f32>, seed: u64) -> Tensor<f32> {
    transform.apply(picture.clone(), &mut Rng::seed(seed)).unwrap()
}

#[test]
fn formulas_are_those_of_torchvision() {
    let mut file = Npz::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/transforms.npz")).unwrap();
    let names: Vec<String> = file.names().iter().map(|n| (*n).to_owned()).collect();
    assert_eq!(names.len(), 30);
    let picture: Tensor<f32> = file.read("picture").unwrap();
    let x = || picture.clone();
    for name in names {
        let expected: Tensor<f32> = file.read(&name).unwrap();
        let parts: Vec<&str> = name.split('_').collect();
        let number = |i: usize| parts[i].parse::<f64>().unwrap();
        let ours = match parts[0] {
            "picture" => x(),
            "rotate" => {
                let how = if parts[1] == "nearest" { Interpolation::Nearest } else { Interpolation::Bilinear };
                rotate(&picture, number(2), how, 0.0).unwrap()
            }
            "brightness" => adjust_brightness(x(), number(1)).unwrap(),
            "contrast" => adjust_contrast(x(), number(1)).unwrap(),
            "saturation" => adjust_saturation(x(), number(1)).unwrap(),
            "hue" => adjust_hue(x(), number(1)).unwrap(),
            "grayscale" => to_grayscale(&picture).unwrap(),
            "resize" => resize(&picture, [number(1) as usize, number(2) as usize]).unwrap(),
            "normalize" => apply(Normalize::imagenet(), &picture, 0),
            "center" => apply(CenterCrop::new([6, 9]), &picture, 0),
            other => panic!("nothing is compared with {other}"),
        };
        assert_eq!(ours.shape(), expected.shape(), "{name}");
        let apart = (&ours - &expected).abs();
        assert!(apart.max(..).item() < 3e-6, "{name}: up to {} apart", apart.max(..).item());
    }
}

#[test]
fn a_random_crop_is_a_window_of_the_padded_picture() {
    let picture = counted([2, 5, 4]);
    for (pad, size) in [(0, [3, 2]), (2, [5, 4]), (3, [1, 9]), (1, [7, 6])] {
        let padded = picture.pad(&[[0, 0], [pad, pad], [pad, pad]], -1.0);
        let mut windows = Vec::new();
        for top in 0..=5 + 2 * pad - size[0] {
            for left in 0..=4 + 2 * pad - size[1] {
                windows.push(crop(&padded, [top, left], size).unwrap());
            }
        }
        let mut met = vec![false; windows.len()];
        for seed in 0..600 {
            let window = apply(RandomCrop::new(size).padding(pad).fill(-1.0), &picture, seed);
            let which: Vec<usize> = (0..windows.len()).filter(|&i| windows[i] == window).collect();
            assert!(!which.is_empty(), "not a window: {window}");
            which.into_iter().for_each(|i| met[i] = true);
        }
        assert!(met.iter().all(|&m| m), "every window occurs with a margin of {pad}");
    }
    let far = RandomCrop::new([2, 2]).padding(9);
    assert!((0..50).any(|seed| apply(far, &picture, seed).sum(..).item() == 0.0), "a window of nothing but margin");
}

#[test]
fn flips_happen_as_often_as_asked() {
    let picture = counted([1, 2, 3]);
    let rows = |p: &Tensor<f32>| p.to_vec();
    assert_eq!(rows(&apply(RandomHorizontalFlip::new(1.0), &picture, 0)), [2.0, 1.0, 0.0, 12.0, 11.0, 10.0]);
    assert_eq!(rows(&apply(RandomVerticalFlip::new(1.0), &picture, 0)), [10.0, 11.0, 12.0, 0.0, 1.0, 2.0]);
    let flipped = (0..2000).filter(|&seed| apply(RandomHorizontalFlip::new(0.3), &picture, seed) != picture).count();
    assert!((520..680).contains(&flipped), "{flipped} of 2000");
    let greyed = (0..2000).filter(|&seed| apply(RandomApply::new(0.1, Resize::new([1, 1])), &picture, seed) != picture).count();
    assert!((140..260).contains(&greyed), "{greyed} of 2000");
}

#[test]
fn angles_and_factors_fill_their_ranges() {
    let real = Cifar10::open("../../data/cifar10-small").unwrap().test().batch(&[0]).unwrap().0.reshape([3, 32, 32]);
    // Where a lone pixel goes tells the angle.
    let mut dot = Tensor::<f32>::zeros([1, 41, 41]);
    dot.as_mut_slice()[20 * 41 + 40] = 1.0;
    let angle = |seed| {
        let turned = apply(RandomRotation::new(10.0, 50.0).interpolation(Interpolation::Bilinear), &dot, seed);
        let (mut x, mut y, mut all) = (0.0, 0.0, 0.0);
        for (i, v) in turned.to_vec().into_iter().enumerate() {
            (x, y, all) = (x + v * ((i % 41) as f32 - 20.0), y - v * ((i / 41) as f32 - 20.0), all + v);
        }
        if all > 0.0 { y.atan2(x).to_degrees() } else { 30.0 }
    };
    let angles: Vec<f32> = (0..200).map(angle).collect();
    let (low, high) = angles.iter().fold((f32::MAX, f32::MIN), |(l, h), &a| (l.min(a), h.max(a)));
    assert!((8.0..15.0).contains(&low) && (45.0..52.0).contains(&high), "{low} to {high}");

    let grey = Tensor::full([3, 1, 1], 0.4f32);
    let bright: Vec<f32> = (0..200).map(|s| apply(ColorJitter::new().brightness(0.5), &grey, s).to_vec()[0] / 0.4).collect();
    let (low, high) = bright.iter().fold((f32::MAX, f32::MIN), |(l, h), &a| (l.min(a), h.max(a)));
    assert!((0.5..0.53).contains(&low) && (1.47..1.5001).contains(&high), "{low} to {high}");
    let jitter = ColorJitter::new().brightness(0.4).contrast(0.4).saturation(0.4).hue(0.1);
    let changed = apply(jitter, &real, 3);
    assert!(changed != real && changed.min(..).item() >= 0.0 && changed.max(..).item() <= 1.0);
    assert_eq!(apply(ColorJitter::new(), &real, 3), real);
    assert_eq!(apply(Grayscale::new(3), &real, 0).slice(0, 1..2), to_grayscale(&real).unwrap());
}

#[test]
fn a_resized_crop_keeps_to_its_areas_and_proportions() {
    // Rows and columns as values show the window's ends.
    let picture = Tensor::from_fn([2, 60, 80], |i| i[1 + i[0]] as f32);
    for seed in 0..300 {
        let out = apply(RandomResizedCrop::new([60, 80]), &picture, seed);
        let span =
            |c: usize, n: usize| (out.slice(0, c..=c).max(..).item() - out.slice(0, c..=c).min(..).item() + 1.0) / n as f32;
        let (h, w) = (span(0, 60) * 60.0, span(1, 80) * 80.0);
        let area = h * w / 4800.0;
        assert!((0.06..1.05).contains(&area), "{area}");
        assert!((0.66..1.5).contains(&(w / h)), "{h} x {w}");
    }
    // No window is as flat as this one wants: the middle as far as it goes.
    let flat = RandomResizedCrop::new([4, 4]).scale(0.9, 1.0);
    assert_eq!(*apply(flat, &counted([1, 100, 2]), 0).shape(), [1, 4, 4]);
    let whole = apply(RandomResizedCrop::new([5, 4]).scale(1.0, 1.0).ratio(0.8, 0.8), &counted([1, 5, 4]), 0);
    assert_eq!(whole, counted([1, 5, 4]));
}

#[test]
fn erased_parts_are_rectangles_of_the_sizes_asked_for() {
    let ones = Tensor::<f32>::ones([2, 32, 32]);
    let box_of = |p: &Tensor<f32>, value: f32| {
        let gone: Vec<(usize, usize)> = (0..1024).map(|i| (i / 32, i % 32)).filter(|&(y, x)| p.at([0, y, x]) == value).collect();
        assert!(gone.iter().all(|&(y, x)| p.at([1, y, x]) == value), "all channels alike");
        let (ys, xs) = (gone.iter().map(|g| g.0), gone.iter().map(|g| g.1));
        let sides = (ys.clone().max()? + 1 - ys.min()?, xs.clone().max()? + 1 - xs.min()?);
        assert_eq!(gone.len(), sides.0 * sides.1, "a full rectangle");
        Some(sides)
    };
    let boxes: Vec<_> =
        (0..500).filter_map(|seed| box_of(&apply(RandomErasing::new(0.5).value(7.0), &ones, seed), 7.0)).collect();
    assert!((200..300).contains(&boxes.len()), "{} of 500", boxes.len());
    for (h, w) in boxes {
        let (area, ratio) = ((h * w) as f64 / 1024.0, w as f64 / h as f64);
        assert!((0.015..0.36).contains(&area) && (0.2..4.5).contains(&ratio), "{h} x {w}");
    }
    let cuts: Vec<_> = (0..300).map(|seed| box_of(&apply(Cutout::new(16), &ones, seed), 0.0).unwrap()).collect();
    assert!(cuts.iter().all(|&(h, w)| (8..=16).contains(&h) && (8..=16).contains(&w)));
    assert!(cuts.contains(&(16, 16)) && cuts.iter().any(|&(h, _)| h == 8));
}

#[test]
fn wrong_pictures_and_arguments_are_refused() {
    let error = |t: &dyn Transform, shape: &[usize]| message(t.apply(Tensor::zeros(shape), &mut Rng::seed(0)));
    assert!(error(&RandomCrop::new([2, 2]), &[2, 2]).contains("random crop: a picture of shape [2, 2]; wanted [C, H, W]"));
    assert!(error(&RandomCrop::new([9, 2]).padding(1), &[3, 6, 6]).contains("9 x 2 of a picture of 6 x 6 with a margin of 1"));
    assert!(error(&CenterCrop::new([2, 7]), &[3, 6, 6]).contains("2 x 7 of a picture of 6 x 6"));
    assert!(error(&Resize::new([0, 7]), &[3, 6, 6]).contains("[0, 7]"));
    assert!(error(&Normalize::imagenet(), &[1, 6, 6]).contains("3 means for a picture of 1 channels"));
    assert!(error(&CaffeNormalize, &[1, 6, 6]).contains("red, green and blue"));
    assert!(error(&Grayscale::new(1), &[2, 6, 6]).contains("red, green and blue"));
    assert!(error(&Resize::new([2, 2]), &[3, 0, 6]).contains("[3, 0, 6]"));
    assert!(message(Normalize::new([0.5], [0.0])).contains("above 0"));
    assert!(message(Normalize::new([0.5, 0.5], [1.0])).contains("as many of both"));
    assert!(message(crop(&counted([1, 2, 2]), [usize::MAX, 0], [1, 1])).contains("of a picture of 2 x 2"));
    assert!(message(adjust_hue(counted([3, 1, 1]), 0.6)).contains("-0.5 to 0.5"));
    assert!(message(rotate(&counted([3, 1, 1]), f64::NAN, Interpolation::Nearest, 0.0)).contains("NaN"));
    let data = TensorDataset::new(Tensor::<f32>::zeros([2, 5]), Tensor::<i64>::zeros([2])).unwrap();
    assert!(message(data.augment(Compose::new(), 0).batch(&[0])).contains("augment: a batch of shape [1, 5]"));
    let ragged = |p: Tensor<f32>, rng: &mut Rng| resize(&p, [1 + rng.below(5), 1]);
    let data = Cifar10::open("../../data/cifar10-small").unwrap().test().augment(ragged, 0);
    let all: Vec<usize> = (0..50).collect();
    assert!(message(data.batch(&all)).contains("a batch wants one shape"));
    assert!(message(data.batch(&[50])).contains("no sample 50"));
    assert_eq!(*data.batch(&[]).unwrap().0.shape(), [0, 3, 32, 32]);
}

/// Everything that is random, in a row.
fn everything() -> Compose {
    Compose::new()
        .add(RandomCrop::new([32, 32]).padding(4))
        .add(RandomHorizontalFlip::new(0.5))
        .add(RandomVerticalFlip::new(0.5))
        .add(RandomRotation::new(-20.0, 20.0).interpolation(Interpolation::Bilinear))
        .add(ColorJitter::new().brightness(0.3).contrast(0.3).saturation(0.3).hue(0.1))
        .add(RandomApply::new(0.2, Grayscale::new(3)))
        .add(RandomResizedCrop::new([24, 24]))
        .add(Normalize::imagenet())
        .add(RandomErasing::new(0.5))
        .add(Cutout::new(6))
}

#[test]
fn the_same_seed_gives_the_same_pictures_however_they_are_loaded() {
    let data = Cifar10::open("../../data/cifar10-small").unwrap().test();
    let augmented = data.clone().augment(everything(), 7);
    let all: Vec<usize> = (0..data.len()).collect();
    let (whole, labels) = augmented.batch_of_epoch(&all, 3).unwrap();
    assert_eq!(labels, *data.labels());
    let sample = |x: &Tensor<f32>, i: usize| x.slice(0, i..=i).contiguous();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| augmented.batch_of_epoch(&all, 3)).unwrap().0, whole, "{threads} threads");
    }
    for ahead in [false, true] {
        let batches = augmented.batches(8).epoch(3).shuffle(&mut Rng::seed(1));
        let batches: Vec<_> = if ahead { batches.prefetch(3).collect() } else { batches.collect() };
        let order = Rng::seed(1).permutation(data.len());
        for (batch, order) in batches.into_iter().zip(order.chunks(8)) {
            let (x, _) = batch.unwrap();
            order.iter().enumerate().for_each(|(k, &i)| assert_eq!(sample(&x, k), sample(&whole, i)));
        }
    }
    let differ = |other: Tensor<f32>| all.iter().filter(|&&i| sample(&other, i) != sample(&whole, i)).count();
    assert_eq!(differ(augmented.batch_of_epoch(&all, 4).unwrap().0), 50, "another epoch, other pictures");
    assert_eq!(differ(data.clone().augment(everything(), 8).batch_of_epoch(&all, 3).unwrap().0), 50, "another seed");
    // The same picture at two places is changed in two ways.
    let twice = data.subset([0, 0]).unwrap().augment(everything(), 7).batch(&[0, 1]).unwrap().0;
    assert_ne!(sample(&twice, 0), sample(&twice, 1));
}

#[test]
fn every_adaptor_hands_the_epoch_on() {
    let data = Cifar10::open("../../data/cifar10-small").unwrap().test();
    let crops = || data.clone().augment(RandomCrop::new([32, 32]).padding(8), 1);
    fn changes<Y>(name: &str, data: impl Dataset<Batch = (Tensor<f32>, Y)>) {
        let [a, b, again] = [0, 1, 0].map(|epoch| data.batch_of_epoch(&[0, 1], epoch).unwrap().0);
        assert!(a != b && a == again, "{name}");
        assert!(a == data.batch(&[0, 1]).unwrap().0, "{name}: a batch is that of epoch 0");
    }
    changes("augment", crops());
    let kept = crops();
    changes("reference", &kept);
    changes("arc", std::sync::Arc::new(crops()));
    changes("map", crops().map(|(x, y)| (2.0 * x, y)));
    changes("subset", crops().take(5));
    changes("concat, first", crops().concat(crops()));
    changes("concat, second", crops().take(0).concat(crops()));
    changes("one against the rest", crops().one_vs_rest("cat").unwrap());
    changes("augment twice", crops().augment(Compose::new(), 1));
    changes("mixup", crops().mixup(10, 1.0, 1).unwrap());
    assert_eq!(crops().take(3).class_counts(), data.clone().take(3).class_counts());
}

#[test]
fn mixup_blends_pictures_and_labels_alike() {
    let (n, classes) = (6000, 3);
    let data = TensorDataset::new(Tensor::from_fn([n, 2], |i| i[0] as f32), Tensor::from_fn([n], |i| (i[0] % 3) as i64)).unwrap();
    let indices: Vec<usize> = (0..n).collect();
    for alpha in [0.2, 1.0, 4.0] {
        let mixed = data.clone().mixup(classes, alpha, 5).unwrap();
        let (x, y) = mixed.batch_of_epoch(&indices, 2).unwrap();
        let (mut sum, mut squares) = (0.0, 0.0);
        for i in 1..n {
            let share = y.at([i, i % 3]);
            assert!((y.at([i, (i - 1) % 3]) - (1.0 - share)).abs() < 1e-6 && y.at([i, (i + 1) % 3]) == 0.0);
            let expected = share * i as f32 + (1.0 - share) * (i - 1) as f32;
            assert!((x.at([i, 0]) - expected).abs() < 2e-3 && x.at([i, 1]) == x.at([i, 0]));
            sum += f64::from(share);
            squares += f64::from(share) * f64::from(share);
        }
        // Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)).
        let (mean, count) = (sum / (n - 1) as f64, (n - 1) as f64);
        let variance = squares / count - mean * mean;
        assert!((mean - 0.5).abs() < 0.02, "alpha {alpha}: mean {mean}");
        assert!((variance * 4.0 * (2.0 * alpha + 1.0) - 1.0).abs() < 0.06, "alpha {alpha}: variance {variance}");
        assert_eq!(mixed.batch_of_epoch(&indices, 2).unwrap().1, y);
        assert_ne!(mixed.batch_of_epoch(&indices, 3).unwrap().1, y);
    }
    assert!(message(data.clone().mixup(3, 0.0, 5)).contains("an alpha of 0"));
    assert!(message(data.clone().mixup(2, 1.0, 5).unwrap().batch(&[0, 1, 2])).contains("a label of 2; the 2 classes"));
    assert_eq!(*data.mixup(3, 1.0, 5).unwrap().batch(&[]).unwrap().1.shape(), [0, 3]);
    // Draws of an alpha so small that the gamma draws underflow are 0 or 1, not NaN.
    let (_, y) =
        Cifar10::open("../../data/cifar10-small").unwrap().test().mixup(10, 1e-3, 0).unwrap().batch(&indices[..50]).unwrap();
    assert!(y.to_vec().iter().all(|v| (0.0..=1.0).contains(v)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against the definition: a triangle of the right width, sampled at pixel middles and normalised, in both directions.
    #[test]
    fn resizing_is_a_triangle_filter(h in 1usize..9, w in 1usize..9, to_h in 1usize..12, to_w in 1usize..12, seed in any::<u64>()) {
        let picture = Tensor::<f32>::uniform([2, h, w], 0.0, 1.0, &mut Rng::seed(seed));
        let ours = resize(&picture, [to_h, to_w]).unwrap();
        let weights = |from: usize, to: usize, i: usize| {
            let scale = from as f64 / to as f64;
            let center = (i as f64 + 0.5) * scale;
            let raw: Vec<f64> = (0..from).map(|j| (1.0 - (j as f64 + 0.5 - center).abs() / scale.max(1.0)).max(0.0)).collect();
            let sum: f64 = raw.iter().sum();
            raw.into_iter().map(move |v| v / sum).collect::<Vec<_>>()
        };
        for (c, y, x) in (0..2).flat_map(|c| (0..to_h).flat_map(move |y| (0..to_w).map(move |x| (c, y, x)))) {
            let (down, along) = (weights(h, to_h, y), weights(w, to_w, x));
            let value: f64 = (0..h).flat_map(|j| (0..w).map(move |k| (j, k)))
                .map(|(j, k)| down[j] * along[k] * f64::from(picture.at([c, j, k]))).sum();
            prop_assert!((value - f64::from(ours.at([c, y, x]))).abs() < 1e-5);
        }
    }

    /// A turn there and back by quarters is the identity; four quarters are none.
    #[test]
    fn quarter_turns_come_back(side in 1usize..8, turns in 0i32..8, seed in any::<u64>()) {
        let picture = Tensor::<f32>::uniform([1, side, side], 0.0, 1.0, &mut Rng::seed(seed));
        let turn = |p: &Tensor<f32>, by: i32| rotate(p, 90.0 * f64::from(by), Interpolation::Nearest, -1.0).unwrap();
        prop_assert_eq!(turn(&turn(&picture, turns), -turns), picture.clone());
        prop_assert_eq!(turn(&picture, 4), picture);
    }
}
