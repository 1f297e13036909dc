//! The course's convolution on paper: a 4x4 input, a 3x3 filter, "valid" and "same" padding, and the sums
//! behind one number.
//!
//! `cargo run --release --example 06_convolution_on_paper`

use gradus::prelude::*;
use gradus::tensor::{Conv2dOptions, Pool2dOptions};

fn main() {
    let input = Tensor::<f32>::from([[1., 2., 3., 0.], [0., 1., 2., 3.], [3., 0., 1., 2.], [2., 3., 0., 1.]]);
    let filter = Tensor::<f32>::from([[2., 0., 1.], [0., 1., 2.], [1., 0., 2.]]);
    println!("input:\n{input}\nfilter:\n{filter}\n");

    // Pictures are [batch, channels, height, width], filters [filters, channels, height, width].
    let x = input.reshape([1, 1, 4, 4]);
    let w = filter.reshape([1, 1, 3, 3]);

    let valid = x.conv2d(&w, Conv2dOptions::default());
    println!("valid: the filter stays inside, 4x4 becomes 2x2:\n{}", valid.reshape([2, 2]));
    let window = input.slice(0, ..3).slice(1, ..3);
    println!("the 15 is the sum of\n{}\n", window * &filter);
    assert_eq!(valid.to_vec(), [15., 16., 6., 15.]);

    let one_around = Conv2dOptions { padding: [[1, 1], [1, 1]], ..Default::default() };
    let same = x.conv2d(&w, one_around);
    println!("same: a border of zeros keeps it 4x4:\n{}\n", same.reshape([4, 4]));
    assert_eq!(same.to_vec(), [7., 12., 10., 2., 4., 15., 16., 10., 10., 6., 15., 6., 8., 10., 4., 3.]);

    println!("Max-pooling 2x2 keeps the largest of each block:\n{}\n", max_pooled(&x).reshape([2, 2]));

    // The derivative of the valid result's sum with respect to the filter: how often each weight met what.
    let (x, w) = (Var::constant(x), Var::leaf(w));
    let grads = x.conv2d(&w, Conv2dOptions::default()).sum(..).backward();
    println!("d(sum of valid)/d(filter): each weight met a 2x2 block of the input; these are their sums:");
    println!("{}", grads[&w].reshape([3, 3]));
}

fn max_pooled(x: &Tensor) -> Tensor {
    x.max_pool2d(Pool2dOptions::new(2))
}
