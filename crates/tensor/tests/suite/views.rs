//! Chains of views against a model that moves every element one by one.

use crate::common::{chains, panic_of, shapes, viewed};
use gradus_tensor::Tensor;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn chains_show_what_the_model_shows(shape in shapes(), chain in chains()) {
        let (x, model) = viewed::<i64>(&shape, &chain);
        model.agrees(&x);
        model.agrees(&x.contiguous());
        model.agrees(&x.copy());
        model.agrees(&x.reshape(x.shape()));
        prop_assert!(x.copy().is_contiguous());
        prop_assert!(!x.copy().shares_buffer_with(&x));
        prop_assert_eq!(x.numel(), model.data.len());
        prop_assert_eq!(&x, &Tensor::from_vec(model.data.clone(), &model.shape[..]));
        if let Some(values) = x.as_slice() {
            prop_assert_eq!(values, &model.data[..]);
        }
    }

    #[test]
    fn writing_never_reaches_another_owner(shape in shapes(), chain in chains()) {
        let (mut x, model) = viewed::<i64>(&shape, &chain);
        let other = x.clone();
        x.as_mut_slice().fill(-1000);
        model.agrees(&other);
        prop_assert!(x.to_vec().iter().all(|&v| v == -1000));
    }

    #[test]
    fn at_reads_one_element(shape in prop::collection::vec(1usize..5, 3), chain in chains()) {
        let (x, model) = viewed::<i64>(&shape, &chain);
        if x.rank() == 3 {
            for i in crate::common::indices(&model.shape) {
                prop_assert_eq!(x.at([i[0], i[1], i[2]]), model.at(&i));
            }
        }
    }
}

#[test]
fn large_copies_of_any_axis_order_are_right() {
    // Sizes beyond one tile, one task and one serial loop, and not multiples of any.
    let shape = [5, 67, 3, 131];
    let x = Tensor::<i32>::arange(0, shape.iter().product::<usize>() as i32, 1).reshape(shape);
    let orders = crate::common::indices(&[4, 4, 4, 4]).into_iter().filter(|o| (0..4).all(|a| o.contains(&a)));
    for order in orders {
        let y = x.permute(&order).copy();
        let strides: Vec<usize> = order.iter().map(|&a| x.strides()[a] as usize).collect();
        let place = |i: &[usize]| i.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>() as i32;
        let mut index = [0; 4];
        for &v in y.as_slice().unwrap() {
            assert_eq!(v, place(&index), "order {order:?} at {index:?}");
            for a in (0..4).rev() {
                index[a] += 1;
                if index[a] < y.shape()[a] {
                    break;
                }
                index[a] = 0;
            }
        }
    }
    let tall = Tensor::<i32>::arange(0, 300_000, 1).reshape([300, 1000]);
    assert_eq!(tall.t().copy().at([999, 299]), 299_999);
    assert_eq!(tall.t().copy().t(), tall);
    assert_eq!(tall.flip(1).copy().flip(1), tall);
    assert_eq!(tall.slice_step(1, .., 3).copy().at([1, 2]), 1006);
}

#[test]
fn reshape_views_where_strides_allow() {
    let x = Tensor::<i64>::arange(0, 24, 1).reshape([2, 3, 4]);
    assert!(x.reshape([6, 4]).shares_buffer_with(&x));
    assert!(x.slice(2, 1..3).reshape([6, 2]).shares_buffer_with(&x));
    assert!(x.permute([1, 0, 2]).reshape([3, 2, 2, 2]).shares_buffer_with(&x));
    assert!(!x.t().reshape([-1]).shares_buffer_with(&x));
    let constant = Tensor::full([3, 4], 1i64);
    assert!(constant.reshape([2, 6]).shares_buffer_with(&constant));
}

#[test]
fn mistakes_name_op_place_and_shapes() {
    let x = Tensor::<f32>::zeros([2, 3]);
    for (message, wanted) in [
        (panic_of(|| x.reshape([4, 2])), "reshape at crates/tensor/tests/suite/views.rs:"),
        (panic_of(|| x.reshape([4, 2])), "[2, 3] (6 elements) to [4, 2]: the number of elements must stay the same"),
        (panic_of(|| x.reshape([-1, -1])), "only one size may be -1"),
        (panic_of(|| x.reshape([-1, 4])), "the size left open would not be whole"),
        (panic_of(|| x.permute([0, 0])), "permute at crates/tensor/tests/suite/views.rs:"),
        (panic_of(|| x.permute([0, 0])), "[0, 0] does not name each of the 2 axes of [2, 3] once"),
        (panic_of(|| x.transpose(0, 2)), "axis 2 of a tensor with 2 axes; allowed are -2 to 1"),
        (panic_of(|| x.slice(1, 1..5)), "slice at crates/tensor/tests/suite/views.rs:"),
        (panic_of(|| x.slice(1, 1..5)), "1..5 by 1 of axis 1, which has 3 (shape [2, 3])"),
        (panic_of(|| x.slice_step(0, .., 0)), "by 0 of axis 0"),
        (panic_of(|| x.select(0, 2)), "index 2 of axis 0 of shape [2, 3]"),
        (panic_of(|| x.expand([4, 3])), "[2, 3] to [4, 3]: only axes of size 1 can grow"),
        (panic_of(|| x.squeeze(0)), "axis 0 of shape [2, 3] is not of size 1"),
        (panic_of(|| x.unsqueeze(4)), "unsqueeze at crates/tensor/tests/suite/views.rs:"),
        (panic_of(|| x.select(0, 0).diagonal(0)), "a tensor of shape [3]; wanted two axes or more"),
        (panic_of(|| x.at([2, 0])), "at at crates/tensor/tests/suite/views.rs:"),
        (panic_of(|| x.item()), "a tensor of shape [2, 3] has 6 elements; wanted exactly 1"),
        (panic_of(|| x.flip([0, 0])), "axis 0 is given twice"),
        (panic_of(|| x.size(5)), "size at crates/tensor/tests/suite/views.rs:"),
    ] {
        assert!(message.contains(wanted), "{message:?} lacks {wanted:?}");
    }
}
