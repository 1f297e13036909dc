//! PNG images.

use super::{Claim, Pixels, undecodable};
use crate::limit::Budget;
use png::{BitDepth, ColorType, Decoder, Limits, Transformations};
use std::io::Cursor;

pub(super) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The most that deflate makes of a byte.
const DEFLATE: u64 = 1032;

/// The pixels, and the EXIF data if there are any.
pub(super) fn decode(file: &[u8], budget: &Budget) -> Result<(Pixels, Option<Vec<u8>>), String> {
    let wrong = |e: png::DecodingError| undecodable(e);
    let exif = exif_of_whole(file)?;
    let mut decoder =
        Decoder::new_with_limits(Cursor::new(file), Limits { bytes: usize::try_from(budget.most()).unwrap_or(usize::MAX) });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // Palettes to colours, fewer than 8 bits to 8, and transparent colours to alpha. 16 bits stay.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(wrong)?;
    let info = reader.info();
    let (width, height, interlaced) = (info.width as usize, info.height as usize, info.interlaced);
    let row = (u64::from(info.width) * info.bits_per_pixel() as u64).div_ceil(8);
    let (color, depth) = reader.output_color_type();
    let channels = match color {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        ColorType::Indexed => return Err(undecodable("a palette that is not in the file")),
    };
    let size = reader.output_buffer_size().ok_or_else(|| undecodable("too large for any memory"))?;
    // How many pixels the data can hold is known by the rows as they are in the file.
    let packed = row.saturating_mul(info.height.into());
    let possible = if packed > DEFLATE * file.len() as u64 { 0 } else { u64::MAX };
    let beside = if interlaced { 0 } else { size as u64 / 2 };
    Claim { width, height, decoded: size as u64, beside, possible }.take(file.len() as u64, budget)?;
    let mut samples = Vec::new();
    if interlaced {
        samples.resize(size, 0);
        reader.next_frame(&mut samples).map_err(wrong)?;
    } else {
        // Memory is taken as rows come, as the data may end early; what moves to twice the room is half of the whole at most.
        while let Some(row) = reader.next_row().map_err(wrong)? {
            if samples.capacity() - samples.len() < row.data().len() {
                samples.reserve_exact(samples.len().max(1 << 16).min(size - samples.len()).max(row.data().len()));
            }
            samples.extend_from_slice(row.data());
        }
        if samples.len() != size {
            return Err(undecodable(format_args!("{} bytes of pixels; expected {size}", samples.len())));
        }
    }
    Ok((Pixels { width, height, channels, deep: depth == BitDepth::Sixteen, samples }, exif))
}

/// Confirms that all chunks are there, up to the one that ends the file, and gives the EXIF data, which may lie anywhere.
fn exif_of_whole(file: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let (mut rest, mut exif) = (&file[SIGNATURE.len()..], None);
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let [length, kind] = [&head[..4], &head[4..]];
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let Some((data, next)) = after.split_at_checked(length) else { break };
        let Some((_checksum, next)) = next.split_at_checked(4) else { break };
        match kind {
            b"IEND" => return Ok(exif),
            b"eXIf" => exif = Some(data.to_vec()),
            _ => {}
        }
        rest = next;
    }
    Err(undecodable("the file ends before the image does; it is truncated"))
}
