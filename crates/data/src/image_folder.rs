//! A folder of pictures, sorted into one folder for each class.

use crate::dataset::{Dataset, check_indices};
use crate::error::DataError;
use crate::image_file::Image;
use crate::labelled::Labelled;
use crate::limit::MemoryLimit;
use crate::transforms::{resize, to_grayscale};
use gradus_tensor::Tensor;
use gradus_tensor::parallel::{Parts, chunks, chunks_mut};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The pictures `root/CLASS/*.png` and `.jpg`, decoded when a batch asks for them.
///
/// Classes are numbered in the order of their folders' names, samples in the order of class and file name.
/// Hidden files and files of other kinds are passed over. A batch is `(images, labels)`: `f32` of shape
/// `[N, 3, H, W]`, or `[N, 1, H, W]` after [`grayscale`](Self::grayscale), from 0 to 1; and `i64` `[N]`.
/// Images are read as [`read_image`](crate::read_image) reads them. Those of another size go through
/// [`resize`]; their proportions are not kept. The images of a batch are decoded in parallel.
///
/// ```no_run
/// use gradus_data::{Dataset, ImageFolder};
/// let data = ImageFolder::open("pets", [224, 224])?;
/// println!("{} pictures of {:?}", data.len(), data.classes());
/// let (x, y) = data.batch(&[0, 1, 2])?;
/// assert_eq!(*x.shape(), [3, 3, 224, 224]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias("DatasetFolder", "image_dataset_from_directory", "flow_from_directory"))]
#[derive(Clone, Debug)]
pub struct ImageFolder {
    files: Arc<[(PathBuf, i64)]>,
    classes: Arc<[String]>,
    size: [usize; 2],
    channels: usize,
    limit: MemoryLimit,
}

impl ImageFolder {
    /// Lists the pictures under `root`, to be resized to `size`, which is `[H, W]`.
    ///
    /// # Errors
    /// When the folder cannot be read, has no folders in it, one of those has no pictures, or `size` has
    /// a 0.
    pub fn open(root: impl AsRef<Path>, size: [usize; 2]) -> Result<Self, DataError> {
        let root = root.as_ref();
        if size.iter().any(|&n| n == 0 || n > 1 << 16) {
            return Err(DataError::new(format!("image folder: pictures of size {size:?}; wanted [H, W] between 1 and 65536")));
        }
        let (mut files, mut classes) = (Vec::new(), Vec::new());
        for dir in sorted(root)?.into_iter().filter(|p| p.is_dir()) {
            let before = files.len();
            let label = classes.len() as i64;
            files.extend(sorted(&dir)?.into_iter().filter(|p| is_picture(p)).map(|p| (p, label)));
            if files.len() == before {
                return Err(DataError::in_file(&dir, "", "no pictures in this class; wanted .png, .jpg or .jpeg files"));
            }
            classes.push(dir.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
        if classes.is_empty() {
            return Err(DataError::in_file(root, "", "no folders in it; wanted one for each class, with pictures inside"));
        }
        Ok(Self { files: files.into(), classes: classes.into(), size, channels: 3, limit: MemoryLimit::default() })
    }

    /// Grey values in one channel in place of red, green and blue, by [`to_grayscale`]. An image that is grey in its file keeps
    /// its values.
    pub fn grayscale(mut self) -> Self {
        self.channels = 1;
        self
    }

    /// The most memory that reading one of the images may take. As many are read at once as there are threads.
    pub fn memory_limit(mut self, limit: MemoryLimit) -> Self {
        self.limit = limit;
        self
    }

    /// The classes' names, by number.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The file of sample `i` and the number of its class; `None` when there is no such sample.
    pub fn file(&self, i: usize) -> Option<(&Path, i64)> {
        self.files.get(i).map(|(path, label)| (path.as_path(), *label))
    }

    /// Decodes one image into `out`, `[C, H, W]`.
    fn load(&self, path: &Path, out: &mut [f32]) -> Result<(), DataError> {
        let image = Image::open(path, self.limit)?;
        let whole = match image.grey() {
            Some(grey) if self.channels == 1 => grey,
            _ if self.channels == 1 => to_grayscale(&image.rgb())?,
            _ => image.rgb(),
        };
        let [height, width] = self.size;
        let sized = if whole.shape()[1..] == self.size {
            whole
        } else {
            // What is resized along the rows, and the result.
            let pixels = (whole.size(1) + height) as u64 * width as u64;
            let taken = image.take(pixels * self.channels as u64 * size_of::<f32>() as u64);
            taken.map_err(|e| DataError::in_file(path, "", format!("resized to {height} x {width}: {e}")))?;
            resize(&whole, self.size)?
        };
        // Weights that sum to 1 but for rounding can lead out of the range.
        let values = sized.contiguous();
        out.iter_mut().zip(values.as_slice().expect("contiguous")).for_each(|(to, v)| *to = v.clamp(0.0, 1.0));
        Ok(())
    }
}

impl Dataset for ImageFolder {
    type Batch = (Tensor<f32>, Tensor<i64>);

    fn len(&self) -> usize {
        self.files.len()
    }

    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        check_indices("batch", indices, self.len())?;
        let [height, width] = self.size;
        let shape = [indices.len(), self.channels, height, width];
        let mut pixels = vec![0.0; shape.iter().product()];
        // Collected before the first error is picked, so that it is the same one on any number of threads.
        let parts = (chunks_mut(&mut pixels, (self.channels * height * width).max(1)), chunks(indices, 1));
        let done = parts.map_at_least(1, |_, (out, i)| self.load(&self.files[i[0]].0, out));
        done.into_iter().collect::<Result<(), _>>()?;
        let labels: Vec<i64> = indices.iter().map(|&i| self.files[i].1).collect();
        Ok((Tensor::from_vec(pixels, shape), Tensor::from(labels)))
    }
}

impl Labelled for ImageFolder {
    fn labels(&self) -> Tensor<i64> {
        Tensor::from(self.files.iter().map(|(_, label)| *label).collect::<Vec<_>>())
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// The entries of a folder but for hidden ones, by name.
fn sorted(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let wrong = |e| DataError::io(dir, "list the folder", e);
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    path.is_file() && ["png", "jpg", "jpeg"].iter().any(|e| extension == *e)
}
