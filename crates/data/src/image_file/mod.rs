//! An image in a file: PNG and JPEG.

mod exif;
mod jpeg;
mod png;

use crate::error::DataError;
use crate::limit::{self, Budget, MemoryLimit};
use gradus_tensor::Tensor;
use std::fmt::Display;
use std::fs;
use std::path::Path;

/// Reads a PNG or JPEG image: red, green and blue from 0 to 1, `[3, H, W]`.
///
/// Every way of reading images here gives the same values:
///
/// - **Depth.** 8 bits are divided by 255, the 16 bits of a PNG by 65535; 1, 2 and 4 bits are scaled to the full range.
/// - **Orientation.** The image is turned as its EXIF entry says, as a viewer shows it (in Pillow, `ImageOps.exif_transpose`).
/// - **Grey.** The value of a grey image is repeated in all three channels.
/// - **Palettes** are looked up.
/// - **Alpha** is left out, as Pillow's `convert("RGB")` leaves it out: nothing is blended with a background.
/// - **CMYK** becomes `(1 - C)(1 - K)` and so on, as in Pillow.
/// - **Colour profiles** and gamma are passed over: values are those that are stored.
///
/// # Errors
/// When the file cannot be read, is no such image, is damaged or ends too early, or takes more memory than is plausible
/// ([`read_image_with`]).
///
/// ```no_run
/// use gradus_data::read_image;
/// use gradus_data::transforms::resize;
/// let small = resize(&read_image("cat.jpg")?, [224, 224])?;
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias("decode_image", "imread", "ToTensor", "load_img", "img_to_array"))]
pub fn read_image(path: impl AsRef<Path>) -> Result<Tensor<f32>, DataError> {
    read_image_with(path, MemoryLimit::default())
}

/// [`read_image`] with a custom limit on the memory that it takes: the file, the decoded pixels, what the decoder needs
/// beside them, and the result.
///
/// # Errors
/// As for [`read_image`].
pub fn read_image_with(path: impl AsRef<Path>, limit: MemoryLimit) -> Result<Tensor<f32>, DataError> {
    Ok(Image::open(path.as_ref(), limit)?.rgb())
}

fn undecodable(reason: impl Display) -> String {
    format!("not an image that can be decoded: {reason}")
}

/// Decoded pixels as they are in the file.
pub(crate) struct Image {
    pixels: Pixels,
    orientation: u8,
    budget: Budget,
}

/// Samples in rows of pixels of `channels` samples: grey, grey and alpha, colours, or colours and alpha.
struct Pixels {
    width: usize,
    height: usize,
    channels: usize,
    /// Whether a sample is 16 bits, big-endian, rather than 8.
    deep: bool,
    samples: Vec<u8>,
}

/// What is known of an image before it is decoded.
struct Claim {
    width: usize,
    height: usize,
    /// Bytes of the decoded samples.
    decoded: u64,
    /// Bytes that the decoder takes beside them.
    beside: u64,
    /// The most bytes of samples that a file of this size can hold.
    possible: u64,
}

impl Claim {
    /// Takes the cost of the whole image, its tensor included, before anything is decoded.
    fn take(&self, file: u64, budget: &Budget) -> Result<(), String> {
        let Self { width, height, decoded, beside, possible } = *self;
        if decoded > possible {
            return Err(format!("{file} bytes announce an image of {width} x {height} pixels; too many"));
        }
        let tensor = (width as u64).saturating_mul(height as u64).saturating_mul(3 * 4);
        let cost = tensor.saturating_add(decoded).saturating_add(beside);
        budget.take(cost, || format!("an image of {width} x {height} pixels takes {cost} bytes"))
    }
}

impl Image {
    pub fn open(path: &Path, limit: MemoryLimit) -> Result<Self, DataError> {
        let wrong = |reason: String| DataError::in_file(path, "", reason);
        let size = fs::metadata(path).map_err(|e| DataError::io(path, "open", e))?.len();
        let budget = Budget::new(limit, limit::IMAGE, size);
        budget.take(size, || format!("{size} bytes")).map_err(wrong)?;
        let file = fs::read(path).map_err(|e| DataError::io(path, "open", e))?;
        let decoded = if file.starts_with(&png::SIGNATURE) {
            png::decode(&file, &budget)
        } else if file.starts_with(&jpeg::START) {
            jpeg::decode(&file, &budget)
        } else {
            Err(undecodable("neither PNG nor JPEG"))
        };
        let (pixels, exif) = decoded.map_err(wrong)?;
        Ok(Self { pixels, orientation: exif.and_then(|exif| exif::orientation(&exif)).unwrap_or(1), budget })
    }

    /// Takes memory for what becomes of the image.
    pub fn take(&self, bytes: u64) -> Result<(), String> {
        self.budget.take(bytes, || format!("{bytes} bytes"))
    }

    /// Red, green and blue, `[3, H, W]`.
    pub fn rgb(&self) -> Tensor<f32> {
        self.planes(if self.is_grey() { [0; 3] } else { [0, 1, 2] })
    }

    /// The values of a grey image, `[1, H, W]`.
    pub fn grey(&self) -> Option<Tensor<f32>> {
        self.is_grey().then(|| self.planes([0]))
    }

    fn is_grey(&self) -> bool {
        self.pixels.channels < 3
    }

    /// The channels of the given numbers, upright.
    fn planes<const C: usize>(&self, channels: [usize; C]) -> Tensor<f32> {
        let Pixels { width, height, channels: all, deep, ref samples } = self.pixels;
        let (w, h) = (width as isize, height as isize);
        // The pixel that comes first, and how far it is from there down and to the right.
        let (first, down, right) = match self.orientation {
            2 => (w - 1, w, -1),
            3 => (h * w - 1, -w, -1),
            4 => (h * w - w, -w, 1),
            5 => (0, 1, w),
            6 => (h * w - w, 1, -w),
            7 => (h * w - 1, -1, -w),
            8 => (w - 1, -1, w),
            _ => (0, w, 1),
        };
        let [rows, columns] = if self.orientation >= 5 { [width, height] } else { [height, width] };
        Tensor::build([C, rows, columns], |out| {
            for (i, row) in out.chunks_exact_mut(columns).enumerate() {
                let channel = channels[i / rows];
                let start = first + (i % rows) as isize * down;
                for (x, to) in row.iter_mut().enumerate() {
                    let at = (start + x as isize * right) as usize * all + channel;
                    *to = if deep {
                        f32::from(u16::from_be_bytes([samples[2 * at], samples[2 * at + 1]])) / 65535.0
                    } else {
                        f32::from(samples[at]) / 255.0
                    };
                }
            }
        })
    }
}
