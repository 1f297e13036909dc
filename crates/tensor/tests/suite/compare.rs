//! Comparisons and masks against index loops.

use crate::common::{Model, chains, panic_of, shapes, viewed};
use gradus_tensor::{Tensor, shape::broadcast_shapes};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn comparisons_agree_with_the_scalars(shape in shapes(), c in (chains(), chains()), v in -50i32..51) {
        let ((x, m), (y, n)) = (viewed::<f32>(&shape, &c.0), viewed::<f32>(&shape, &c.1));
        let Ok(out) = broadcast_shapes("test", &m.shape, &n.shape) else { return Ok(()) };
        prop_assume!(out.numel() < 20_000);
        let check = |got: Tensor<bool>, f: fn(&f32, &f32) -> bool| {
            Model::from_fn(&out, |i| f(&m.broadcast_at(i), &n.broadcast_at(i))).agrees(&got);
        };
        check(x.eq(&y), f32::eq);
        check(x.ne(&y), f32::ne);
        check(x.lt(&y), f32::lt);
        check(x.le(&y), f32::le);
        check(x.gt(&y), f32::gt);
        check(x.ge(&y), f32::ge);
        Model::from_fn(&m.shape, |i| m.at(i) > v as f32).agrees(&x.gt(f64::from(v)));
    }

    #[test]
    fn masks_choose_and_combine(shape in shapes(), c in (chains(), chains(), chains())) {
        let ((x, m), (y, n), (z, o)) = (viewed::<i64>(&shape, &c.0), viewed::<i64>(&shape, &c.1), viewed::<i64>(&shape, &c.2));
        let both = broadcast_shapes("test", &m.shape, &n.shape).and_then(|s| broadcast_shapes("test", &s, &o.shape));
        let Ok(out) = both else { return Ok(()) };
        prop_assume!(out.numel() < 20_000);
        let (mask, other) = (x.gt(0.0), z.lt(10.0));
        Model::from_fn(&out, |i| if m.broadcast_at(i) > 0 { n.broadcast_at(i) } else { o.broadcast_at(i) })
            .agrees(&y.where_(&mask, &z));
        let pair = broadcast_shapes("test", &m.shape, &o.shape).unwrap();
        Model::from_fn(&pair, |i| m.broadcast_at(i) > 0 && o.broadcast_at(i) < 10).agrees(&mask.and(&other));
        Model::from_fn(&pair, |i| m.broadcast_at(i) > 0 || o.broadcast_at(i) < 10).agrees(&mask.or(&other));
        Model::from_fn(&m.shape, |i| m.at(i) <= 0).agrees(&mask.not());
        Model::from_fn(&m.shape, |i| i64::from(m.at(i) > 0)).agrees(&mask.to_num::<i64>());
        prop_assert_eq!(mask.all(), m.data.iter().all(|&v| v > 0));
        prop_assert_eq!(mask.any(), m.data.iter().any(|&v| v > 0));
    }
}

#[test]
fn nan_equals_nothing() {
    let x = Tensor::from([f32::NAN, 1.0]);
    assert_eq!(x.eq(&x).to_vec(), [false, true]);
    assert_eq!(x.ne(&x).to_vec(), [true, false]);
    assert!(x != x.clone());
}

#[test]
fn large_masks_choose_alike() {
    let x = Tensor::<i32>::arange(0, 200_003, 1);
    let y = x.where_(&x.gt(100.0), &Tensor::scalar(-1));
    assert!(y.to_vec().iter().enumerate().all(|(i, &v)| v == if i > 100 { i as i32 } else { -1 }));
}

#[test]
fn mistakes_name_op_place_and_shapes() {
    let (x, y) = (Tensor::<f32>::zeros([2, 3]), Tensor::<f32>::zeros([4]));
    let message = panic_of(|| x.lt(&y));
    assert!(message.starts_with("lt at crates/tensor/tests/suite/compare.rs:"), "{message}");
    assert!(message.contains("shapes [2, 3] and [4] do not broadcast: axis -1 is 3 against 4"), "{message}");
    assert!(panic_of(|| x.where_(&x.lt(0.0), &y)).starts_with("where at crates/tensor/tests/suite/compare.rs:"));
}
