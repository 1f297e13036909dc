//! The tests of this crate, in one binary: linking is most of what they take to build.

mod dataset;
#[cfg(all(feature = "gzip", feature = "zip"))]
mod files;
#[cfg(all(feature = "images", feature = "zip"))]
mod images;
mod labelled;
#[cfg(all(feature = "csv", feature = "gzip", feature = "images", feature = "zip"))]
mod mutations;
#[cfg(all(feature = "gzip", feature = "zip"))]
mod plain_data;
#[cfg(all(feature = "csv", feature = "gzip", feature = "images"))]
mod sets;
#[cfg(feature = "zip")]
mod transforms;
#[cfg(feature = "zip")]
mod weights;
mod writing;
