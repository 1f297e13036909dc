//! The tests of this crate, in one binary: linking is most of what they take to build.

mod dataset;
mod files;
mod images;
mod labelled;
mod mutations;
mod plain_data;
mod sets;
mod transforms;
mod weights;
mod writing;
