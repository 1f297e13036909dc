//! Images in files, held against what Pillow and NumPy say is in them (`fixtures/make_images.py`).

use gradus_data::npz::Npz;
use gradus_data::transforms::{resize, to_grayscale};
use gradus_data::{Dataset, ImageFolder, MemoryLimit, read_image, read_image_with};
use gradus_tensor::Tensor;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images").join(name)
}

/// The images by name: values from 0 to 1, `[3, H, W]`.
fn expected() -> Vec<(String, Tensor<f32>)> {
    let mut file = Npz::open(fixture("expected.npz")).unwrap();
    let names: Vec<String> = file.names().into_iter().map(String::from).collect();
    let entry = |name: String| {
        let most = if name.contains("16.") { 65535.0 } else { 255.0 };
        let values = file.read_any(&name).unwrap().cast::<f32>().permute([2, 0, 1]).contiguous();
        (name, values.map(move |v| v / most))
    };
    names.into_iter().map(entry).collect()
}

fn largest_difference(a: &Tensor<f32>, b: &Tensor<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    a.to_vec().iter().zip(b.to_vec()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_kind_of_image_has_the_values_that_pillow_reads() {
    let all = expected();
    assert!(all.len() >= 33, "{}", all.len());
    for (name, expected) in all {
        let found = read_image(fixture(&name)).unwrap();
        // Decoders of JPEG round differently; CMYK twice.
        let most = if name.ends_with(".png") { 0.0 } else { 4.5 / 255.0 };
        let differs = largest_difference(&found, &expected);
        assert!(differs <= most, "{name}: {} of 255", differs * 255.0);
    }
}

/// One folder for each image, so that the class is the name.
#[test]
fn folders_read_images_alike_in_colours_and_in_grey() {
    let dir = tempfile::tempdir().unwrap();
    for (name, _) in expected() {
        fs::create_dir(dir.path().join(&name)).unwrap();
        fs::copy(fixture(&name), dir.path().join(&name).join(&name)).unwrap();
    }
    let size = [6, 5];
    let (colors, grey) = (ImageFolder::open(dir.path(), size).unwrap(), ImageFolder::open(dir.path(), size).unwrap().grayscale());
    for (i, name) in colors.classes().iter().enumerate() {
        let whole = read_image(fixture(name)).unwrap();
        let sized = |image: &Tensor<f32>| resize(image, size).unwrap().map(|v| v.clamp(0.0, 1.0));
        assert_eq!(colors.batch(&[i]).unwrap().0.select(0, 0), sized(&whole), "{name}");
        let one =
            if name.contains("grey") || name.contains("bits1") { whole.slice(0, ..1) } else { to_grayscale(&whole).unwrap() };
        assert_eq!(grey.batch(&[i]).unwrap().0.select(0, 0), sized(&one), "{name} in grey");
    }
}

#[test]
fn an_image_that_ends_early_is_refused_wherever_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    for name in
        ["baseline.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "restarts.jpg", "turned6.jpg", "rgb.png", "palette_alpha.png"]
    {
        let whole = fs::read(fixture(name)).unwrap();
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            assert!(read_image(&path).is_err(), "{name}, cut off at {end} of {}", whole.len());
        }
        // What follows the image is no part of it: phones put a film there.
        fs::write(&path, [&whole[..], b"more", &whole[..]].concat()).unwrap();
        assert_eq!(read_image(&path).unwrap(), read_image(fixture(name)).unwrap(), "{name} with more behind it");
    }
}

/// A blank image of 2048 x 2048 takes a few kilobytes on the disk.
#[test]
fn the_whole_cost_is_held_against_a_limit_that_can_be_raised() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blank.png");
    let (width, height) = (2048, 2048);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&vec![0; (width * height * 3) as usize]).unwrap();
    fs::write(&path, &bytes).unwrap();
    let whole = u64::from(width * height) * 33 / 2 + bytes.len() as u64;
    let message = read_image_with(&path, MemoryLimit::bytes(whole - 1)).unwrap_err().to_string();
    assert!(message.contains("an image of 2048 x 2048 pixels takes 69206016 bytes"), "{message}");
    assert!(message.contains(&format!("the {} bytes", whole - 1)) && message.contains("MemoryLimit::bytes"), "{message}");
    assert_eq!(*read_image_with(&path, MemoryLimit::bytes(whole)).unwrap().shape(), [3, 2048, 2048]);

    let class = dir.path().join("class");
    fs::create_dir(&class).unwrap();
    fs::rename(&path, class.join("blank.png")).unwrap();
    let folder = ImageFolder::open(dir.path(), [64, 64]).unwrap();
    let (x, _) = folder.clone().memory_limit(MemoryLimit::bytes(whole + (1 << 21))).batch(&[0]).unwrap();
    assert_eq!(x, Tensor::zeros([1, 3, 64, 64]));
    let message = folder.clone().memory_limit(MemoryLimit::bytes(whole)).batch(&[0]).unwrap_err().to_string();
    assert!(message.contains("resized to 64 x 64"), "{message}");
    assert!(folder.batch(&[0]).is_ok(), "the default allows it");
}

/// The header of the case: 8,192 x 16,384 pixels, whose tensor alone takes 1.6 GB.
#[test]
fn a_blank_image_of_gigabytes_is_refused_by_default() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blank.png");
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 8192, 16384);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header().unwrap().write_image_data(&vec![0; 8192 / 8 * 16384]).unwrap();
    assert!(bytes.len() < 50_000);
    fs::write(&path, bytes).unwrap();
    let message = read_image(&path).unwrap_err().to_string();
    assert!(message.contains("8192 x 16384 pixels takes 1811939328 bytes"), "{message}");
}
