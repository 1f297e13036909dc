//! Valid files with a few bytes changed, cut or added: an error or a result, and never a panic.

use gradus_data::npz::Npz;
use gradus_data::{Cifar10, Csv, Dataset, ImageFolder, Labelled, Mnist, idx, npy, pth, safetensors};
use gradus_tensor::Tensor;
use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;
use std::path::Path;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// What befalls a file: bytes overwritten, then perhaps the end cut off, then bytes added.
#[derive(Clone, Debug)]
struct Damage {
    bytes: Vec<(Index, u8)>,
    cut: Option<Index>,
    add: Vec<u8>,
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        // All ones and single bits make the most of sizes and flags.
        let byte = prop_oneof![any::<u8>(), Just(0xFF), Just(0), Just(1), Just(0x80), Just(b'9')];
        let bytes = prop::collection::vec((any::<Index>(), byte), 0..6);
        let cut = prop::option::weighted(0.3, any::<Index>());
        (bytes, cut, prop::collection::vec(any::<u8>(), 0..3)).prop_map(|(bytes, cut, add)| Self { bytes, cut, add })
    }

    /// Damages within the first `head` bytes, where headers are.
    fn apply(&self, mut file: Vec<u8>, head: usize) -> Vec<u8> {
        let n = file.len();
        for (at, byte) in &self.bytes {
            file[at.index(n.min(head))] = *byte;
        }
        if let Some(cut) = &self.cut {
            file.truncate(cut.index(n));
        }
        file.extend(&self.add);
        file
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arrays(damage in Damage::any(), head in prop_oneof![Just(100usize), Just(usize::MAX)]) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for name in ["f32.npy", "f64_fortran.npy", "f32_version_2.npy", "u8.npy", "bool.npy", "empty.npy"] {
            fs::write(&path, damage.apply(fixture(name), head)).unwrap();
            if let Ok(array) = npy::read_any(&path) {
                prop_assert!(array.shape().numel() <= 192);
            }
        }
    }

    #[test]
    fn archives(damage in Damage::any(), head in prop_oneof![Just(60usize), Just(usize::MAX)], tail in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        for name in ["stored.npz", "deflated.npz"] {
            let mut bytes = fixture(name);
            // The table of contents is at the end of a zip file.
            if tail {
                bytes.reverse();
            }
            let mut bytes = damage.apply(bytes, head);
            if tail {
                bytes.reverse();
            }
            fs::write(&path, bytes).unwrap();
            if let Ok(mut file) = Npz::open(&path) {
                let names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
                for name in names {
                    let _ = file.read_any(&name);
                }
            }
        }
    }

    #[test]
    fn weights(damage in Damage::any(), head in prop_oneof![Just(60usize), Just(3000), Just(usize::MAX)], tail in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for name in ["state.pth", "state_stream.pth", "checkpoint.pth", "state.safetensors"] {
            let mut bytes = fixture(name);
            if tail {
                bytes.reverse();
            }
            let mut bytes = damage.apply(bytes, head);
            if tail {
                bytes.reverse();
            }
            fs::write(&path, &bytes).unwrap();
            let read = if name.ends_with("pth") { pth::read(&path).ok() } else { safetensors::read(&path).ok().map(|r| r.0) };
            let elements: usize = read.into_iter().flatten().map(|(_, array)| array.shape().numel()).sum();
            prop_assert!(elements <= (1 << 20) + 64 * bytes.len());
        }
    }

    #[test]
    fn idx_and_mnist(damage in Damage::any(), gz in any::<bool>(), head in prop_oneof![Just(16usize), Just(usize::MAX)]) {
        let dir = tempfile::tempdir().unwrap();
        let suffix = if gz { ".gz" } else { "" };
        let path = |name: &str| dir.path().join(format!("{name}{suffix}"));
        for part in ["train", "t10k"] {
            idx::write(path(&format!("{part}-images-idx3-ubyte")), &Tensor::<u8>::ones([2, 28, 28])).unwrap();
            idx::write(path(&format!("{part}-labels-idx1-ubyte")), &Tensor::from([1u8, 2])).unwrap();
        }
        for name in ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"] {
            let bytes = fs::read(path(name)).unwrap();
            fs::write(path(name), damage.apply(bytes, head)).unwrap();
            let _ = idx::read::<u8>(path(name));
            let _ = idx::read::<f64>(path(name));
            if let Ok(data) = Mnist::open(dir.path()) {
                data.train().batch(&[1, 0]).unwrap();
            }
        }
    }

    #[test]
    fn cifar(damage in Damage::any()) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
            fs::write(dir.path().join(format!("{name}.bin")), vec![3; 2 * 3073]).unwrap();
        }
        fs::write(dir.path().join("test_batch.bin"), damage.apply(vec![3; 2 * 3073], usize::MAX)).unwrap();
        if let Ok(data) = Cifar10::open(dir.path()) {
            data.test().batch(&[0]).unwrap();
        }
    }

    #[test]
    fn pictures(damage in Damage::any(), head in prop_oneof![Just(64usize), Just(usize::MAX)]) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        for name in ["rgb.png", "halves.jpg"] {
            fs::write(dir.path().join("a").join(name), damage.apply(fixture(name), head)).unwrap();
        }
        let data = ImageFolder::open(dir.path(), [4, 5]).unwrap();
        for i in 0..2 {
            if let Ok((x, _)) = data.batch(&[i]) {
                prop_assert!(x.to_vec().iter().all(|v| (0.0..=1.0).contains(v)));
            }
        }
    }

    #[test]
    fn tables(damage in Damage::any(), header in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv");
        fs::write(&path, damage.apply(b"a,\"b\",y\n1,2,3\n4,\"5\",6\n7,8,9\n".to_vec(), usize::MAX)).unwrap();
        let csv = Csv::new(&path).header(header);
        let _ = csv.read_inputs::<f32>();
        if let Ok(data) = csv.target(2).read_classes::<i64>() {
            prop_assert!(data.labels().to_vec().iter().all(|&t| (t as usize) < data.classes().len()));
        }
    }
}
