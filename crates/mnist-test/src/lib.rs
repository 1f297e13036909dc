//! The 10,000 test images of MNIST with their labels, as gzipped IDX files.
//!
//! Programs read them by `gradus::data::Mnist::embedded()`, with the feature `mnist` of `gradus`. They are a crate of their own, beside
//! the training images in `gradus-mnist-train`, because a package on crates.io is at most 10 MiB. Source and licence are in the README.

/// `t10k-images-idx3-ubyte.gz`: bytes of shape `[10000, 28, 28]`, 0 for the background and 255 for ink.
// A function that is not inlined: a static's bytes would stand in the metadata too.
#[inline(never)]
pub fn images() -> &'static [u8] {
    include_bytes!("../t10k-images-idx3-ubyte.gz")
}

/// `t10k-labels-idx1-ubyte.gz`: bytes of shape `[10000]`, each from 0 to 9.
#[inline(never)]
pub fn labels() -> &'static [u8] {
    include_bytes!("../t10k-labels-idx1-ubyte.gz")
}
