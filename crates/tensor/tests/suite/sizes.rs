//! Sizes that no tensor has, and numbers that wrapped around once: each against its right value, or its message.

use crate::common::panic_of;
use gradus_tensor::shape::{Dims, broadcast_shapes, checked_numel};
use gradus_tensor::{Conv2dOptions, Pool2dOptions, Shape, Tensor, conv2d_shape, matmul_shape, pool2d_shape, solve_shape};

/// A size whose product with 4 is 4 when it wraps around.
const WRAPS: usize = 1 << 62 | 1;

#[test]
fn a_shape_that_wraps_around_is_no_tensors() {
    let said = panic_of(|| Tensor::full([WRAPS, 4], 1.0f32));
    let line = line!() - 1;
    let wanted =
        format!("full at crates/tensor/tests/suite/sizes.rs:{line}: shape [{WRAPS}, 4] is too large; tensors have at most");
    assert!(said.starts_with(&wanted), "{said}");
    for (op, said) in [
        ("zeros", panic_of(|| Tensor::<f32>::zeros([WRAPS, 4]))),
        ("ones", panic_of(|| Tensor::<u8>::ones([4, WRAPS]))),
        ("from_vec", panic_of(|| Tensor::from_vec(vec![0f32; 4], [WRAPS, 4]))),
        ("from_fn", panic_of(|| Tensor::<f32>::from_fn([WRAPS, 4], |_| 0.0))),
        ("expand", panic_of(|| Tensor::<f32>::ones([1, 1]).expand([WRAPS, 4]))),
        ("reshape", panic_of(|| Tensor::<f32>::ones([2, 2]).reshape([WRAPS, 4]))),
        ("repeat", panic_of(|| Tensor::<f32>::ones([4]).repeat(&[WRAPS]))),
        ("pad", panic_of(|| Tensor::<f32>::ones([4]).pad(&[[usize::MAX, 2]], 0.0))),
        ("pad_step", panic_of(|| Tensor::<f32>::ones([1, 4]).pad_step(0, WRAPS, 0, 1))),
        ("one_hot", panic_of(|| Tensor::from([0i64, 1]).one_hot::<f32>(usize::MAX))),
        ("bincount", panic_of(|| Tensor::from([0i64, 1]).bincount(usize::MAX))),
        ("diagonal_embed", panic_of(|| Tensor::<f32>::ones([4]).diagonal_embed(0, WRAPS, 4))),
        ("eye", panic_of(|| Tensor::<f32>::eye(1 << 32))),
        ("outer", panic_of(|| Tensor::full([1 << 31], 1f32).outer(&Tensor::full([1 << 31], 1.0)))),
        ("concat", panic_of(|| Tensor::concat(&[&Tensor::full([1 << 59], 1f32); 3], 0))),
        ("stack", panic_of(|| Tensor::stack(&[&Tensor::full([1 << 59], 1f32); 3], 0))),
        ("mul", panic_of(|| Tensor::full([1 << 40, 1], 1f32) * Tensor::full([1 << 40], 1.0))),
        ("matmul", panic_of(|| Tensor::full([1 << 40, 1], 1f32).matmul(&Tensor::full([1, 1 << 40], 1.0)))),
    ] {
        let begins = format!("{op} at crates/tensor/tests/suite/sizes.rs:");
        assert!(said.starts_with(&begins) && (said.contains("too large") || said.contains("no memory")), "{op}: {said}");
    }
}

#[test]
fn shape_functions_give_errors() {
    let big = 1usize << 40;
    for err in [
        broadcast_shapes("add", &[big, 1], &[big]).unwrap_err(),
        matmul_shape(&[big, 1], &[1, big]).unwrap_err(),
        solve_shape(&[big, 1, 1], &[1, big]).unwrap_err(),
        conv2d_shape(&[big, 1, 3, 3], &[big, 1, 1, 1], &Conv2dOptions::default()).unwrap_err(),
        pool2d_shape(&[big, big, 2, 2], &Pool2dOptions::new(2)).unwrap_err(),
        Shape::from([0, big, big]).checked("zeros").unwrap_err(),
    ] {
        assert!(err.to_string().contains("too large"), "{err}");
    }
    // As many elements as there may be, and one more.
    assert_eq!(checked_numel(&[Shape::MAX_NUMEL]), Some(Shape::MAX_NUMEL));
    assert_eq!(checked_numel(&[Shape::MAX_NUMEL + 1]), None);
    assert_eq!(checked_numel(&[usize::MAX, 0]), None);
}

#[test]
fn numbers_without_sign_are_not_negative() {
    let x = Tensor::<f32>::ones([2, 3]);
    for said in [
        panic_of(|| x.sum(usize::MAX)),
        panic_of(|| x.sum([usize::MAX - 1])),
        panic_of(|| x.transpose(0, usize::MAX)),
        panic_of(|| x.unsqueeze(usize::MAX)),
        panic_of(|| x.size(isize::MIN)),
    ] {
        assert!(said.contains("axes; allowed are"), "{said}");
    }
    assert!(panic_of(|| x.reshape([usize::MAX])).contains("to [18446744073709551615]: too large"));
    assert!(panic_of(|| x.reshape([2, usize::MAX])).contains("too large"));
    assert!(panic_of(|| x.reshape(-2isize)).contains("size -2: sizes are 0 or more"));
    assert_eq!(*x.reshape([3, -1]).shape(), [3, 2]);
    assert_eq!([2isize, -1].resolve_dims(&[0, 4]).unwrap(), [2, 0]);
}

#[test]
fn rolls_and_steps_of_any_size() {
    let x = Tensor::<i64>::arange(0, 5, 1);
    for shift in [isize::MIN, isize::MIN + 1, -7, -1, 0, 3, 12, isize::MAX] {
        let right: Vec<i64> = (0..5).map(|i| (i - shift as i128).rem_euclid(5) as i64).collect();
        assert_eq!(x.roll(shift, 0).to_vec(), right, "by {shift}");
    }
    assert_eq!(x.slice_step(0, 1.., isize::MAX).to_vec(), [1]);
    assert_eq!(x.slice_step(0, 1.., isize::MIN).to_vec(), [4]);
    assert_eq!(x.slice_step(0, .., isize::MIN).slice_step(0, .., isize::MIN).to_vec(), [4]);
    assert_eq!(x.split(usize::MAX, 0).len(), 1);
    assert!(panic_of(|| x.split_sizes(&[usize::MAX, 6], 0)).starts_with("split_sizes at"));
    assert!(panic_of(|| Tensor::<f32>::ones([3]).pad_step(0, 5, 1, isize::MIN)).starts_with("pad_step at"));
}

#[test]
fn windows_of_any_size() {
    let huge = 1usize << 40;
    let x = Tensor::from([[[[1.0f32, 5.0, 2.0, 4.0, 3.0]]]]);
    let o = Pool2dOptions::rectangle([1, huge]).stride([1, 1]).padding([[0, 0], [huge / 2, huge / 2]]);
    let (y, index) = x.max_pool2d_with_indices(o);
    assert_eq!((y.to_vec(), index.to_vec()), (vec![5.0; 6], vec![1; 6]));
    assert_eq!(x.avg_pool2d(Pool2dOptions { count_include_pad: false, ..o }).to_vec(), [3.0; 6]);
    assert_eq!(x.avg_pool2d(o).to_vec(), [15.0 / huge as f32; 6]);
    assert!(panic_of(|| x.max_pool2d(Pool2dOptions::new(huge))).starts_with("max_pool2d at"));

    let w = Tensor::<f32>::ones([1, 1, 1, 2]);
    let far = Conv2dOptions::default().padding([[1 << 59, 0], [0, 0]]);
    assert!(panic_of(|| x.conv2d(&w, far)).starts_with("conv2d at"));
    let dilated = Conv2dOptions::default().dilation([1, usize::MAX]);
    assert!(panic_of(|| dilated.same([1, 5], [1, 2])).contains("a kernel of 2 with dilation 18446744073709551615 is too large"));
    assert!(panic_of(|| x.conv2d(&w, dilated)).contains("too large"));
    // A filter of one tap has no gaps, and of one position no steps.
    assert_eq!(Conv2dOptions::default().dilation([7, 7]).same([1, 5], [1, 1]).padding, [[0, 0], [0, 0]]);
    assert_eq!(x.conv2d(&w, Conv2dOptions::default().stride([1, 1 << 60])).to_vec(), [6.0]);
}

#[test]
fn integers_wrap_around_and_have_no_quotient_by_zero() {
    let x = Tensor::from([i64::MAX, i64::MIN]);
    assert_eq!((&x + 1.0).to_vec(), [i64::MIN, i64::MIN + 1]);
    assert_eq!((&x * &Tensor::from([2i64, 3])).to_vec(), [-2, i64::MIN]);
    assert_eq!((&x / &Tensor::from([-1i64])).to_vec(), [-i64::MAX, i64::MIN]);
    assert_eq!(x.sum(..).item(), -1);
    assert_eq!(Tensor::from([200u8]).scatter_add(0, &Tensor::from([0i64]), &Tensor::from([100u8])).to_vec(), [44]);
    let said = panic_of(|| &x / &Tensor::from([1i64, 0]));
    assert!(said.starts_with("div at") && said.contains("of the divisor [2] is 0"), "{said}");
    assert!(Tensor::from([1.0f32]).eq(&(Tensor::from([0.0f32]) / 0.0)).not().all(), "floats divide by 0");
}

#[test]
fn what_the_machine_has_no_memory_for_is_a_panic() {
    for said in [
        panic_of(|| Tensor::<f64>::zeros([1 << 24, 1 << 24])),
        panic_of(|| Tensor::full([1 << 24, 1 << 24], 1f64).exp()),
        panic_of(|| Tensor::full([1 << 24, 1 << 24], 1f64).contiguous()),
    ] {
        assert!(said.contains("a tensor of shape [16777216, 16777216]: no memory for"), "{said}");
    }
}
