//! Failed checks as errors instead of panics.

use gradus_tensor::{OrPanic, ShapeError, Tensor, catch_shape_errors};
use std::panic::catch_unwind;

fn product(columns: usize) -> Tensor<f32> {
    Tensor::ones([2, 3]).matmul(&Tensor::ones([columns, 4]))
}

#[test]
fn a_check_that_fails_is_an_error_with_the_callers_line() {
    assert_eq!(*catch_shape_errors(|| product(3)).unwrap().shape(), [2, 4]);
    let error = catch_shape_errors(|| product(5)).unwrap_err();
    assert_eq!(error.op(), "matmul");
    assert!(error.to_string().contains("errors.rs:"), "{error}");
    // Outside, and after it, a check panics as ever.
    assert!(catch_unwind(|| product(5)).is_err());
}

#[test]
fn other_panics_pass() {
    let panic = catch_unwind(|| catch_shape_errors(|| panic!("on purpose"))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    let panic = catch_unwind(|| product(5)).unwrap_err();
    assert!(panic.downcast_ref::<String>().is_some_and(|text| text.starts_with("matmul at ")), "the flag was put back");
}

#[test]
fn the_innermost_catches() {
    let outer = catch_shape_errors(|| {
        let inner = catch_shape_errors(|| product(5)).unwrap_err();
        assert_eq!(inner.op(), "matmul");
        Err::<(), _>(ShapeError::new("outer", "after the inner one")).or_panic();
    });
    let outer = outer.unwrap_err();
    assert_eq!(outer.op(), "outer");
    assert!(outer.to_string().ends_with(": after the inner one"), "{outer}");
}
