//! Pictures: that they are whole, and show what they should.

use crate::common::{quiet, spirals, trainer};
use gradus_optim::Adam;
use gradus_tensor::{Rng, Tensor};
use gradus_train::plot::{Chart, Series, heatmap, image_grid, save_charts};
use gradus_train::{EpochRecord, History};
use std::path::{Path, PathBuf};

fn history() -> History {
    let record = |epoch: usize| {
        let t = epoch as f64;
        let values =
            [("loss", 1.4 / t), ("acc", 1.0 - 0.4 / t), ("val_loss", 0.1 + 1.2 / t), ("val_acc", 0.95 - 0.4 / t), ("lr", 1e-3)];
        let values = values.into_iter().map(|(n, v)| (n.to_string(), v)).collect();
        EpochRecord { epoch, seconds: 1.5, waited: 0.25, values }
    };
    History { epochs: (1..=8).map(record).collect(), steps: Vec::new() }
}

/// Width, height and pixels.
fn png(path: &Path) -> (usize, usize, Vec<[u8; 3]>) {
    let image = gradus_data::read_image(path).unwrap();
    let (height, width) = (image.size(1), image.size(2));
    let values: Vec<u8> = image.permute([1, 2, 0]).to_vec().into_iter().map(|v| (v * 255.0).round() as u8).collect();
    (width, height, values.as_chunks().0.to_vec())
}

/// Where to draw: a folder of its own, or `PLOTS` to look at the pictures.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PLOTS").map_or(dir.path().to_owned(), PathBuf::from);
    (dir, path)
}

#[test]
fn curves_have_titles_legends_and_axes() {
    let (_dir, path) = folder();
    history().plot(path.join("curves.svg")).unwrap();
    let svg = std::fs::read_to_string(path.join("curves.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for text in ["loss", "accuracy", "training", "validation", "epoch"] {
        assert!(svg.lines().any(|l| l.trim() == text), "no text `{text}`");
    }
    assert!(svg.contains("font-family=\"sans-serif\"") && !svg.lines().any(|l| l.trim() == "lr"));
    assert!(svg.matches("<polyline").count() >= 4, "two lines in each of two frames");

    history().plot(path.join("curves.png")).unwrap();
    let (width, height, pixels) = png(&path.join("curves.png"));
    assert!(width >= 1000 && height >= 400);
    let count = |color: [u8; 3]| pixels.iter().filter(|p| **p == color).count();
    assert!(count([31, 119, 180]) > 500 && count([255, 127, 14]) > 500, "both curves are drawn");
    assert!(count([255; 3]) > pixels.len() * 8 / 10, "on white");
    // Text: dark pixels to the left of the first frame, at the ticks of its axis.
    let dark = |x: usize, y: usize| pixels[y * width + x].iter().all(|&v| v < 100);
    assert!((0..60).flat_map(|x| (50..height - 50).map(move |y| (x, y))).filter(|&(x, y)| dark(x, y)).count() > 50);
}

#[test]
fn a_single_epoch_and_values_that_are_no_numbers_can_be_drawn() {
    let (_dir, path) = folder();
    let one = |loss| History {
        epochs: vec![EpochRecord { epoch: 1, seconds: 1.0, waited: 0.0, values: vec![("loss".into(), loss)] }],
        steps: vec![],
    };
    for (i, loss) in [0.5, 0.0, f64::NAN, f64::INFINITY, 1e300, 1e-300].into_iter().enumerate() {
        one(loss).plot(path.join(format!("one{i}.png"))).unwrap();
        one(loss).plot(path.join(format!("one{i}.svg"))).unwrap();
    }
}

#[test]
fn a_real_training_draws_itself() {
    let (_dir, path) = folder();
    let (train, test) = (spirals(300, 1), spirals(100, 2));
    let history = trainer(crate::common::plain_net(1), Adam::new(0.02)).fit(&train, &test, quiet(12).batch(16)).unwrap();
    history.plot(path.join("training.png")).unwrap();
    assert!(png(&path.join("training.png")).2.contains(&[31, 119, 180]));
}

#[test]
fn paths_run_over_contours() {
    let (_dir, path) = folder();
    let valley = |x: f64, y: f64| (1.0 - x).powi(2) + 20.0 * (y - x * x).powi(2);
    let steps = |speed: f64| (0..60).map(|t| (-1.2 + 2.2 * (1.0 - (-speed * t as f64).exp()), 1.0)).collect::<Vec<_>>();
    let chart = Chart::new("Two ways into a valley", "x", "y")
        .range((-1.6, 1.6), (-0.6, 1.8))
        .contour(valley)
        .series(Series::new("SGD", steps(0.02)).with_points())
        .series(Series::new("Adam", steps(0.2).into_iter().map(|(x, _)| (x, x * x)).collect()).with_points());
    chart.save(path.join("contour.png")).unwrap();
    let (_, _, pixels) = png(&path.join("contour.png"));
    let mut colors = pixels.clone();
    colors.sort_unstable();
    colors.dedup();
    assert!(colors.len() > 12, "bands of several shades");
    assert!(pixels.contains(&[31, 119, 180]) && pixels.contains(&[255, 127, 14]));
}

#[test]
fn a_grid_shows_each_picture_in_its_place() {
    let (_dir, path) = folder();
    let rng = &mut Rng::seed(1);
    let images = Tensor::<f32>::uniform([7, 1, 28, 28], 0.0, 1.0, rng);
    let captions: Vec<String> = (0..7).map(|i| format!("{i} as {} (98 %)", 9 - i)).collect();
    image_grid(path.join("grid.png"), &images, &captions, 4).unwrap();
    // Pure red, green, blue and white, a pixel each, two a row, each 100 x 100 large.
    let pure = Tensor::from_vec(vec![1., 0., 0., 0., 1., 0., 0., 0., 1., 1., 1., 1.], [4, 3, 1, 1]);
    image_grid(path.join("pure.png"), &pure, &[], 2).unwrap();
    let (width, height, pixels) = png(&path.join("pure.png"));
    let middle = |column: usize, row: usize| pixels[(height / 4 + row * height / 2) * width + width / 4 + column * width / 2];
    assert_eq!([middle(0, 0), middle(1, 0), middle(0, 1), middle(1, 1)], [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255; 3]]);
    image_grid(path.join("grid.svg"), &images, &captions, 4).unwrap();
    let svg = std::fs::read_to_string(path.join("grid.svg")).unwrap();
    assert!(svg.contains("6 as 3 (98 %)"));

    let refused = |images: &Tensor<f32>, captions: &[String], columns| {
        let text = image_grid(path.join("x.png"), images, captions, columns).unwrap_err().to_string();
        assert!(text.contains("image_grid"), "{text}");
    };
    refused(&images, &captions[..3], 4);
    refused(&images, &[], 0);
    refused(&Tensor::zeros([0, 1, 2, 2]), &[], 1);
    refused(&Tensor::zeros([2, 2, 2, 2]), &[], 1);
    refused(&Tensor::zeros([28, 28]), &[], 1);
    let many = Tensor::scalar(0.0f32).expand([3_000_000, 1, 28, 28]);
    let text = image_grid(path.join("x.png"), &many, &[], 2).unwrap_err().to_string();
    assert!(text.contains("too large to draw"), "{text}");
}

#[test]
fn a_confusion_matrix_shows_counts() {
    let (_dir, path) = folder();
    let labels: Vec<String> = (0..10).map(|i| i.to_string()).collect();
    let counts: Vec<f64> = (0..100).map(|i| if i / 10 == i % 10 { 970.0 } else { ((i * 7) % 13) as f64 }).collect();
    let matrix = Tensor::from_vec(counts, [10, 10]);
    for name in ["matrix.png", "matrix.svg"] {
        heatmap(path.join(name), "MNIST, 10 000 test images", &matrix, (&labels, &labels), ("truth", "prediction")).unwrap();
    }
    let svg = std::fs::read_to_string(path.join("matrix.svg")).unwrap();
    assert_eq!(svg.lines().filter(|l| l.trim() == "970").count(), 10);
    let text = heatmap(path.join("x.png"), "", &matrix, (&labels[..3], &labels), ("", "")).unwrap_err().to_string();
    assert!(text.contains("heatmap"), "{text}");
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let (dir, _) = folder();
    let message = |result: Result<(), gradus_train::TrainError>| result.unwrap_err().to_string();
    assert!(message(history().plot(dir.path().join("a.pdf"))).contains("must end in .svg or .png"));
    assert!(message(history().plot(dir.path().join("none/a.png"))).contains("none/a.png"));
    assert!(message(History::default().plot(dir.path().join("a.png"))).contains("no epoch"));
    assert!(message(save_charts(dir.path().join("a.png"), &[])).contains("no chart"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
}
