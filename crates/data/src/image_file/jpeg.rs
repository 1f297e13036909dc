//! JPEG images.

use super::{Claim, Pixels, undecodable};
use crate::limit::Budget;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

pub(super) const START: [u8; 3] = [0xFF, 0xD8, 0xFF];

/// The most bytes of pixels for a byte of a file: 8 x 8 pixels of three bytes take a bit at least.
const MOST_RATIO: u64 = 8 * 64 * 3;

/// The pixels, and the EXIF data if there are any.
pub(super) fn decode(file: &[u8], budget: &Budget) -> Result<(Pixels, Option<Vec<u8>>), String> {
    let several = several_scans(file)?;
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|e| undecodable(format_args!("{e:?}")))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| undecodable("no size"))?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let (color, channels) = if grey { (ColorSpace::Luma, 1) } else { (ColorSpace::RGB, 3) };
    // Between segments, stray bytes are harmless; among the pixels they are not.
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(color).set_strict_mode(true));
    let size = width * height * channels;
    // Several scans are gathered as 16-bit coefficients of up to four components in whole blocks, perhaps of 32 x 32.
    let components = if grey { 1 } else { 4 };
    let blocks = width.next_multiple_of(32) as u64 * height.next_multiple_of(32) as u64;
    let beside = if several { blocks * components * 2 } else { 0 };
    let possible = MOST_RATIO * file.len() as u64;
    Claim { width, height, decoded: size as u64, beside, possible }.take(file.len() as u64, budget)?;
    let mut samples = vec![0; size];
    decoder.decode_into(&mut samples).map_err(|e| undecodable(format_args!("{e:?}")))?;
    let exif = decoder.exif().cloned();
    Ok((Pixels { width, height, channels, deep: false, samples }, exif))
}

/// Confirms that the file goes on to the marker that ends the image, and tells whether its pixels come in several scans.
///
/// Segments are passed by their lengths, so that a small image within one does not count. Bytes after the image are
/// no matter.
fn several_scans(file: &[u8]) -> Result<bool, String> {
    let mut scans = 0;
    let mut at = 2;
    loop {
        // A marker is 0xFF and a byte that is neither 0 nor 0xFF; among the pixels lie those of restarts.
        let marker = file.get(at..).and_then(|rest| rest.windows(2).position(|w| w[0] == 0xFF && !matches!(w[1], 0 | 0xFF)));
        let Some(found) = marker else { return Err(undecodable("the file ends before the image does; it is truncated")) };
        let marker = file[at + found + 1];
        at += found + 2;
        match marker {
            0xD9 => return Ok(scans > 1),
            // Restarts and the like have no length.
            0x01 | 0xD0..=0xD8 => continue,
            0xDA => scans += 1,
            _ => {}
        }
        let length = file.get(at..at + 2).map_or(0, |b| usize::from(u16::from_be_bytes([b[0], b[1]])));
        at += length.max(2);
    }
}
