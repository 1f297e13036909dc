//! Gzip streams, with the feature `gzip`; without it, such files are refused.

use std::io::{self, BufRead, Read, Write};

/// Unpacks a stream of one or more members.
#[cfg(feature = "gzip")]
pub(crate) fn reader<'a>(packed: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(Box::new(flate2::bufread::MultiGzDecoder::new(packed)))
}

/// Writes a stream of what `content` writes.
#[cfg(feature = "gzip")]
pub(crate) fn write(out: &mut dyn Write, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut gzip = flate2::write::GzEncoder::new(out, flate2::Compression::default());
    content(&mut gzip)?;
    gzip.finish().map(drop)
}

#[cfg(not(feature = "gzip"))]
pub(crate) fn reader<'a>(_: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Err(refused())
}

#[cfg(not(feature = "gzip"))]
pub(crate) fn write(_: &mut dyn Write, _: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    Err(refused())
}

#[cfg(not(feature = "gzip"))]
fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the file is gzipped, and the feature `gzip` is off")
}
