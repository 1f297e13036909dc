//! MNIST, CIFAR, folders of pictures and tables, whole and damaged.

use gradus_data::{Cifar10, Cifar100, Csv, DataError, Dataset, FashionMnist, ImageFolder, Mnist, idx};
use gradus_tensor::Tensor;
use std::fs;
use std::path::Path;

fn message<T>(result: Result<T, DataError>) -> String {
    result.err().expect("an error").to_string()
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[cfg(feature = "mnist")]
#[test]
fn the_embedded_mnist_is_the_official_one() {
    let data = gradus_data::Mnist::embedded().unwrap();
    let (train, test) = (data.train(), data.test());
    assert_eq!((train.len(), test.len()), (60_000, 10_000));
    assert_eq!(train.labels().slice(0, ..10).to_vec(), [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    assert_eq!(test.labels().slice(0, ..10).to_vec(), [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    let count = |c: i64| train.labels().to_vec().iter().filter(|&&l| l == c).count();
    // The published sizes of the classes, and the mean and deviation that everyone normalises by.
    let counts: Vec<usize> = (0..10).map(count).collect();
    assert_eq!(counts, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    let n = train.images().numel() as f64;
    let pixels = train.images().to_vec();
    let mean = pixels.iter().map(|&v| f64::from(v)).sum::<f64>() / n / 255.0;
    let square = pixels.iter().map(|&v| (f64::from(v) / 255.0).powi(2)).sum::<f64>() / n;
    assert!((mean - 0.1307).abs() < 5e-5 && ((square - mean * mean).sqrt() - 0.3081).abs() < 5e-5);
    let few = data.limit(100);
    assert_eq!((few.train().len(), few.test().len()), (100, 100));
    let (x, y) = few.train().batches(64).next().unwrap().unwrap();
    assert_eq!((&x.shape()[..], &y.shape()[..]), (&[64, 1, 28, 28][..], &[64][..]));
    assert!(x.min(..).item() == 0.0 && x.max(..).item() == 1.0);
}

/// The four files with `n` and `m` images, labelled 0 to 9 in turn.
fn write_mnist(dir: &Path, n: usize, m: usize, suffix: &str) {
    for (part, n) in [("train", n), ("t10k", m)] {
        let images = Tensor::from_fn([n, 28, 28], |i| (i[0] + i[1] * i[2]) as u8);
        idx::write(dir.join(format!("{part}-images-idx3-ubyte{suffix}")), &images).unwrap();
        let labels = Tensor::from_fn([n], |i| (i[0] % 10) as u8);
        idx::write(dir.join(format!("{part}-labels-idx1-ubyte{suffix}")), &labels).unwrap();
    }
}

#[test]
fn mnist_opens_plain_and_gzipped() {
    for suffix in ["", ".gz"] {
        let dir = tempfile::tempdir().unwrap();
        write_mnist(dir.path(), 12, 3, suffix);
        let data = FashionMnist::open(dir.path()).unwrap();
        assert_eq!((data.train().len(), data.test().len()), (12, 3));
        assert_eq!(data.train().classes()[9], "Ankle boot");
        let (x, y) = data.train().batch(&[11]).unwrap();
        assert_eq!((x.at([0, 0, 2, 3]), y.item()), (17.0 / 255.0, 1));
    }
}

#[test]
fn a_damaged_mnist_is_refused() {
    let broken = |change: &dyn Fn(&Path), reason: &str| {
        let dir = tempfile::tempdir().unwrap();
        write_mnist(dir.path(), 4, 2, "");
        change(dir.path());
        let err = message(Mnist::open(dir.path()));
        assert!(err.contains(reason), "{err}\nwanted: {reason}");
    };
    let (images, labels) = ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte");
    broken(&|d| fs::remove_file(d.join(images)).unwrap(), "neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz");
    broken(
        &|d| idx::write(d.join(labels), &Tensor::from([1u8])).unwrap(),
        "t10k-labels-idx1-ubyte, byte 4: shape [1]; wanted [2]",
    );
    broken(&|d| idx::write(d.join(labels), &Tensor::from([1u8, 10])).unwrap(), "record 1: the label is 10; the 10 classes");
    broken(&|d| write_mnist(d, 4, 0, ""), "t10k-images-idx3-ubyte: there are no images in it");
    broken(&|d| idx::write(d.join(images), &Tensor::<u8>::zeros([4, 28, 27])).unwrap(), "[4, 28, 27]; wanted [N, 28, 28]");
    broken(&|d| fs::write(d.join(images), b"<html>404</html>").unwrap(), "byte 0: not an IDX file");
}

/// CIFAR's records for `labels`, with `3072` bytes that start with the record's number.
fn records(labels: &[&[u8]]) -> Vec<u8> {
    let image = |i: usize| (0..3072).map(move |k| ((i + k) % 256) as u8);
    labels.iter().enumerate().flat_map(|(i, l)| l.iter().copied().chain(image(i))).collect()
}

#[test]
fn cifar_reads_its_binary_version() {
    let dir = tempfile::tempdir().unwrap();
    for i in 1..=5u8 {
        fs::write(dir.path().join(format!("data_batch_{i}.bin")), records(&[&[i], &[0]])).unwrap();
    }
    fs::write(dir.path().join("test_batch.bin"), records(&[&[9]])).unwrap();
    let data = Cifar10::open(dir.path()).unwrap();
    assert_eq!(data.train().labels().to_vec(), [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
    let (x, y) = data.train().batch(&[1, 2]).unwrap();
    assert_eq!(*x.shape(), [2, 3, 32, 32]);
    assert_eq!((x.at([0, 0, 0, 0]), x.at([0, 1, 0, 2]), y.to_vec()), (1.0 / 255.0, 3.0 / 255.0, vec![0, 2]));
    assert_eq!(data.test().classes()[9], "truck");

    fs::write(dir.path().join("train.bin"), records(&[&[19, 99], &[3, 4]])).unwrap();
    fs::write(dir.path().join("test.bin"), records(&[&[1, 2]])).unwrap();
    assert_eq!(Cifar100::open(dir.path()).unwrap().train().labels().to_vec(), [99, 4]);
    assert_eq!(Cifar100::open_superclasses(dir.path()).unwrap().train().labels().to_vec(), [19, 3]);
    assert!(Cifar100::CLASSES.is_sorted() && Cifar100::SUPERCLASSES.is_sorted());

    let test = dir.path().join("test_batch.bin");
    for (bytes, reason) in [
        (records(&[&[1], &[10]]), "record 1, byte 3073: the label is 10; the 10 classes"),
        (records(&[&[1]])[..3000].to_vec(), "byte 0: 3000 bytes; wanted a multiple of 3073"),
        (vec![], "0 bytes; wanted a multiple of 3073"),
        (vec![0x1f, 0x8b, 0, 0], "the file is gzipped; wanted it unpacked"),
    ] {
        fs::write(&test, bytes).unwrap();
        let err = message(Cifar10::open(dir.path()));
        assert!(err.contains("test_batch.bin") && err.contains(reason), "{err}");
    }
    fs::remove_file(test).unwrap();
    assert!(message(Cifar10::open(dir.path())).contains("test_batch.bin: cannot open: "));
}

/// Folders `cats` and `dogs`, with a PNG of 3 x 2 pixels and a JPEG of 32 x 16.
fn pictures() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for class in ["dogs", "cats"] {
        fs::create_dir(dir.path().join(class)).unwrap();
        fs::copy(fixture("rgb.png"), dir.path().join(class).join("b.PNG")).unwrap();
    }
    fs::copy(fixture("halves.jpg"), dir.path().join("dogs/a.jpg")).unwrap();
    fs::write(dir.path().join("dogs/notes.txt"), b"not a picture").unwrap();
    fs::write(dir.path().join("cats/.hidden.png"), b"not a picture").unwrap();
    fs::write(dir.path().join("readme.md"), b"not a class").unwrap();
    dir
}

#[test]
fn a_folder_of_pictures_is_sorted_and_decoded() {
    let dir = pictures();
    let data = ImageFolder::open(dir.path(), [2, 3]).unwrap();
    assert_eq!(data.classes(), ["cats", "dogs"]);
    let files: Vec<_> = (0..3).map(|i| data.file(i).unwrap()).collect();
    assert!(files[0].0.ends_with("cats/b.PNG") && files[1].0.ends_with("dogs/a.jpg") && files[2].0.ends_with("dogs/b.PNG"));
    assert!(data.file(3).is_none());
    let (x, y) = data.batch(&[2, 0]).unwrap();
    assert_eq!(y.to_vec(), [1, 0]);
    // Red, green, blue above black, grey, white, as planes.
    let grey = 0.4;
    let expected =
        [[[1.0, 0.0, 0.0], [0.0, grey, 1.0]], [[0.0, 1.0, 0.0], [0.0, grey, 1.0]], [[0.0, 0.0, 1.0], [0.0, grey, 1.0]]];
    assert_eq!(x.select(0, 0), Tensor::from(expected));
    assert_eq!(x.select(0, 1), Tensor::from(expected));
    let (x, _) = data.grayscale().batch(&[0]).unwrap();
    assert_eq!(*x.shape(), [1, 1, 2, 3]);
    // The weights of red, green and blue sum to 0.9999.
    let found = [x.at([0, 0, 1, 0]), x.at([0, 0, 1, 1]), x.at([0, 0, 1, 2])];
    assert!(found.iter().zip([0.0, grey * 0.9999, 0.9999]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-7), "{found:?}");
}

#[test]
fn pictures_are_resized() {
    let dir = pictures();
    let data = ImageFolder::open(dir.path(), [8, 4]).unwrap();
    let (x, _) = data.batch(&[1]).unwrap();
    assert_eq!(*x.shape(), [1, 3, 8, 4]);
    for (c, (left, right)) in [(240.0, 20.0), (120.0, 140.0), (30.0, 130.0)].into_iter().enumerate() {
        for row in 0..8 {
            assert!((x.at([0, c, row, 0]) * 255.0 - left).abs() < 4.0);
            assert!((x.at([0, c, row, 3]) * 255.0 - right).abs() < 4.0);
        }
    }
}

#[test]
fn bad_folders_and_pictures_are_named() {
    let dir = pictures();
    assert!(message(ImageFolder::open(dir.path(), [0, 3])).contains("[0, 3]"));
    assert!(message(ImageFolder::open(dir.path().join("none"), [2, 3])).contains("none: cannot list the folder"));
    assert!(message(ImageFolder::open(dir.path().join("cats"), [2, 3])).contains("cats: no folders in it"));
    fs::create_dir(dir.path().join("birds")).unwrap();
    assert!(message(ImageFolder::open(dir.path(), [2, 3])).contains("birds: no pictures in this class"));
    let bytes = fs::read(fixture("rgb.png")).unwrap();
    // A header that announces 16000 x 16000 pixels, with its checksum (CRC-32) made to fit.
    let mut huge = bytes.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0x3e, 0x80, 0, 0, 0x3e, 0x80]);
    let mut crc = flate2::Crc::new();
    crc.update(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    for (bytes, reason) in [
        (huge, "announce an image of 16000 x 16000 pixels"),
        (bytes[..60].to_vec(), "not an image that can be decoded"),
        (b"hello".to_vec(), "not an image that can be decoded"),
        (vec![], "not an image that can be decoded"),
    ] {
        fs::write(dir.path().join("birds/x.png"), bytes).unwrap();
        let data = ImageFolder::open(dir.path(), [2, 3]).unwrap();
        let err = message(data.batch(&[1, 0]));
        assert!(err.contains("x.png") && err.contains(reason), "{err}");
    }
}

fn csv(text: &[u8]) -> (tempfile::TempDir, Csv) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    fs::write(&path, text).unwrap();
    let csv = Csv::new(path);
    (dir, csv)
}

#[test]
fn tables_give_the_columns_asked_for() {
    let (_dir, csv) = csv(b"a,b,y\r\n1, 2.5 ,7\r\n\r\n\"3\",-4e1,8\r\n");
    assert_eq!(csv.read_inputs::<f64>().unwrap(), Tensor::from([[1.0, 2.5, 7.0], [3.0, -40.0, 8.0]]));
    let data = csv.clone().target("y").read::<f32, i64>().unwrap();
    assert_eq!(*data.inputs(), Tensor::from([[1.0, 2.5], [3.0, -40.0]]));
    assert_eq!(*data.targets(), Tensor::from([7, 8]));
    let data = csv.clone().inputs(["y", "a"]).target(1).read::<i32, f32>().unwrap();
    assert_eq!(*data.inputs(), Tensor::from([[7, 1], [8, 3]]));
    assert_eq!(*data.targets(), Tensor::from([2.5, -40.0]));
    let (_dir, plain) = self::csv(b"1;2\n3;4");
    let data = plain.header(false).delimiter(b';').target(0).read::<u8, i64>().unwrap();
    assert_eq!((data.inputs().to_vec(), data.targets().to_vec()), (vec![2, 4], vec![1, 3]));
}

#[test]
fn bad_tables_are_refused_with_line_and_column() {
    let check = |text: &[u8], change: &dyn Fn(Csv) -> Csv, reason: &str| {
        let (_dir, csv) = csv(text);
        let err = message(change(csv).read::<f32, i64>());
        assert!(err.contains("t.csv") && err.contains(reason), "{err}\nwanted: {reason}");
    };
    let y = |c: Csv| c.target("y");
    check(b"a,y\n1,2\n\nx,3\n", &y, "line 4, column 0 (`a`): `x` is not f32");
    check(b"\xef\xbb\xbfa,y\r\n1,2\r\n\r\n\r\nx,3", &y, "line 5, column 0 (`a`): `x` is not f32");
    check(b"a,y\n\"1\n\",2\n3,4\n\n5,x\n", &y, "line 6, column 1 (`y`): `x` is not i64");
    check(b"a,y\n1,2.5\n", &y, "line 2, column 1 (`y`): `2.5` is not i64");
    check(b"a,y\n1,\n", &y, "line 2, column 1 (`y`): no value here; wanted i64");
    check(b"a,y\n1,2\n1,2,3\n", &y, "line 3: 3 values; wanted 2, as in the first line");
    check(b"a,y\n1,2\n1\n", &y, "line 3: 1 values; wanted 2");
    check(b"a,y\n1,\xff\n", &y, "line 2: the text is not UTF-8");
    check(b"a,y\n", &y, "there are no lines with values in it");
    check(b"", &y, "there are no lines with values in it");
    check(b"a,b\n1,2\n", &y, "there is no column `y`; there are: a, b");
    check(b"y,y\n1,2\n", &y, "line 1: columns 0 and 1 are both named `y`");
    check(b"a,y\n1,2\n", &|c| c.target(2), "there is no column 2; there are 2, numbered from 0");
    check(b"1,2\n", &|c| c.header(false).target("y"), "read without a header");
    check(b"x,1\n", &|c| c.header(false).target(1), "line 1, column 0: `x` is not f32");
    check(b"a,y\n1,2\n", &|c| c, "no target column was given");
    check(b"a,y\n\"1,2\n3,4\n", &y, "line 2: 1 values; wanted 2");
    let (_dir, csv) = csv(b"a,y\n1, \n");
    assert!(message(csv.target("y").read_classes::<f32>()).contains("line 2, column 1 (`y`): no class here"));
    assert!(message(Csv::new("no/such.csv").read_inputs::<f32>()).contains("no/such.csv: cannot read: "));
}
