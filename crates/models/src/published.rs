//! Weights that are fetched once and kept.

use crate::conv_net::ConvNet;
use gradus_data::DataError;
use gradus_data::download::{Remote, fetch};
use gradus_tensor::Float;
use std::path::{Path, PathBuf};

/// Where torchvision's weights are published.
pub(crate) const TORCHVISION: &[&str] = &["https://download.pytorch.org/models"];

/// Brings `file` into `dir`, unless it is there, and reads it by `from_file`.
pub(crate) fn load<T: Float>(
    mirrors: &[&str],
    file: Remote<'_>,
    dir: &Path,
    from_file: impl FnOnce(PathBuf) -> Result<ConvNet<T>, DataError>,
) -> Result<ConvNet<T>, DataError> {
    fetch(mirrors, &[file], dir)?;
    from_file(dir.join(file.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vgg16;
    use gradus_autograd::{Module, Var};
    use gradus_data::Array;
    use gradus_data::safetensors::{self, Metadata};
    use gradus_nn::{Layer, Mode};
    use gradus_tensor::{Rng, Tensor};
    use sha2::{Digest, Sha256};
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const NAME: &str = "vgg16-base.safetensors";

    /// A server on this machine that has one file, and counts how often it is asked for.
    fn serve(body: Vec<u8>) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/models", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                assert_eq!(lines.next().unwrap().unwrap(), format!("GET /models/{NAME} HTTP/1.1"));
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                counter.fetch_add(1, Ordering::SeqCst);
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
                stream.write_all(&body).unwrap();
            }
        });
        (address, count)
    }

    fn files_in(dir: &Path) -> Vec<String> {
        let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    /// The whole of `pretrained`, but for address and file: a base of VGG16 goes over the wire into a cache and computes what
    /// it computed where it came from.
    #[test]
    fn a_network_comes_from_a_server_once() {
        let published = Vgg16::without_top::<f32>(&mut Rng::seed(3));
        let folder = tempfile::tempdir().unwrap();
        let original = folder.path().join("original.safetensors");
        let entries = published.state_dict().iter().map(|(path, x)| (path.clone(), Array::of(x))).collect();
        safetensors::write(&original, &entries, &Metadata::new()).unwrap();
        let bytes = std::fs::read(&original).unwrap();
        let sha256: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        let file = Remote { name: NAME, size: bytes.len() as u64, sha256: &sha256 };
        let (address, asked) = serve(bytes);

        let cache = folder.path().join("cache").join("models");
        let picture: Var = Tensor::normal([1, 3, 32, 32], 0.0, 1.0, &mut Rng::seed(4)).into();
        let expected = published.forward(&picture, &mut Mode::Eval);
        for _ in 0..2 {
            let net = load::<f32>(&[&address], file, &cache, Vgg16::from_file).unwrap();
            assert_eq!(net.forward(&picture, &mut Mode::Eval).value(), expected.value());
        }
        assert_eq!((asked.load(Ordering::SeqCst), files_in(&cache)), (1, vec![NAME.to_owned()]));

        // Another file than was published is refused, and nothing of it stays.
        let other = Remote { sha256: &"0".repeat(64), ..file };
        let cache = folder.path().join("other");
        let message = load::<f32>(&[&address], other, &cache, Vgg16::from_file).err().unwrap().to_string();
        assert!(message.contains("its SHA-256 is") && message.contains(&sha256) && message.contains(NAME), "{message}");
        assert_eq!(files_in(&cache), Vec::<String>::new());
    }
}
