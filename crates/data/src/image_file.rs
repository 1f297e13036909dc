//! A picture in a file.

use crate::error::DataError;
use gradus_tensor::Tensor;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use std::fs;
use std::path::Path;

/// No picture may take more memory than this while it is decoded.
const MOST_BYTES: u64 = 1 << 28;
/// Nor more than this for each byte of its file: both PNG and JPEG stay below, even for a blank page.
const MOST_RATIO: u64 = 4096;

/// Reads a PNG or JPEG picture: red, green and blue from 0 to 1, `[3, H, W]`.
///
/// # Errors
/// When the file cannot be read, is no such picture, or announces more pixels than its size makes plausible.
///
/// ```no_run
/// use gradus_data::read_image;
/// use gradus_data::transforms::resize;
/// let small = resize(&read_image("cat.jpg")?, [224, 224])?;
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub fn read_image(path: impl AsRef<Path>) -> Result<Tensor<f32>, DataError> {
    let picture = decode(path.as_ref())?.into_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let bytes = picture.into_raw();
    let values: Vec<f32> = (0..3).flat_map(|c| bytes.iter().skip(c).step_by(3).map(|&v| f32::from(v) / 255.0)).collect();
    Ok(Tensor::from_vec(values, [3, height, width]))
}

pub(crate) fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    let io = |e| DataError::io(path, "open", e);
    let wrong = |e: image::ImageError| DataError::in_file(path, "", format!("not a picture that can be decoded: {e}"));
    let length = fs::metadata(path).map_err(io)?.len();
    let mut reader = ImageReader::open(path).map_err(io)?.with_guessed_format().map_err(io)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(wrong)?;
    if decoder.total_bytes() > MOST_BYTES.min(length.saturating_mul(MOST_RATIO)) {
        let (w, h) = decoder.dimensions();
        return Err(DataError::in_file(path, "", format!("{length} bytes announce a picture of {w} x {h} pixels; too many")));
    }
    DynamicImage::from_decoder(decoder).map_err(wrong)
}
