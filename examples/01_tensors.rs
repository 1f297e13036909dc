//! Tensors: n-dimensional arrays with views, broadcasting and reductions.
//!
//! `cargo run --release --example 01_tensors`

use gradus::prelude::*;

fn main() {
    println!("-- Creation");
    let x = Tensor::<f32>::arange(0.0, 12.0, 1.0).reshape([3, 4]);
    println!("{x}\nshape {}, strides {:?}\n", x.shape(), x.strides());

    println!("-- Views share the buffer: none of these copies anything");
    println!("transposed:\n{}", x.t());
    println!("rows 1.., every second column from the right:\n{}", x.slice(0, 1..).slice_step(1, .., -2));
    println!("the diagonal: {}", x.diagonal(0));
    println!("still one buffer: {}\n", x.t().shares_buffer_with(&x));

    println!("-- Values behave as values: writing to one never changes another");
    let mut y = x.clone();
    y += 100.0;
    println!("y[0, 0] = {}, x[0, 0] = {}\n", y.at([0, 0]), x.at([0, 0]));

    println!("-- Broadcasting, as in NumPy");
    let column = Tensor::from([[1.0f32], [10.0], [20.0]]);
    println!("x * column:\n{}\n", &x * &column);

    println!("-- Reductions over any axes");
    println!("sum {}, mean of each row {}, variance of each column {}", x.sum(..), x.mean(1), x.var(0, 0));
    println!("largest {} at {} of each row\n", x.max(1), x.argmax(1));

    println!("-- Matrix products, also of views and batches");
    println!("x xᵀ:\n{}", x.matmul(&x.t()));
    println!("the same by einsum: {}\n", Tensor::einsum("ik,jk->ij", &[&x, &x]) == x.matmul(&x.t()));

    println!("-- Choosing");
    println!("x where x > 5, else 0:\n{}", x.where_(&x.gt(5.0), &Tensor::scalar(0.0)));
    println!("columns 3 and 0:\n{}\n", x.index_select(1, &Tensor::from([3i64, 0])));

    println!("-- Random numbers: the same seed gives the same numbers on every machine");
    let mut rng = Rng::seed(42);
    println!("{}", Tensor::<f32>::normal([2, 5], 0.0, 1.0, &mut rng));
    println!("{:.2}", Tensor::<f64>::normal([100, 100], 0.0, 1.0, &mut rng));
}
