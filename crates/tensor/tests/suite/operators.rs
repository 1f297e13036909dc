//! Operators in all their forms, and when they write in place.

use crate::common::{Model, chains, panic_of, shapes, viewed};
use gradus_tensor::{Tensor, shape::broadcast_shapes};
use proptest::prelude::*;

/// Checks one operator on `x` and `y` in the four combinations of references and values, shared and not.
macro_rules! check_operator {
    ($x:ident $m:ident $y:ident $n:ident $out:ident $op:tt $assign:tt) => {{
        let wanted = Model::from_fn(&$out, |i| $m.broadcast_at(i) $op $n.broadcast_at(i));
        wanted.agrees(&(&$x $op &$y));
        wanted.agrees(&($x.clone() $op &$y));
        wanted.agrees(&(&$x $op $y.clone()));
        wanted.agrees(&($x.clone() $op $y.clone()));
        wanted.agrees(&($x.copy() $op &$y));
        wanted.agrees(&(&$x $op $y.copy()));
        wanted.agrees(&($x.copy() $op $y.copy()));
        if $out[..] == $m.shape[..] {
            let (mut shared, mut alone) = ($x.clone(), $x.copy());
            shared $assign &$y;
            alone $assign &$y;
            wanted.agrees(&shared);
            wanted.agrees(&alone);
        }
        $m.agrees(&$x);
        $n.agrees(&$y);
    }};
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn all_forms_agree_with_a_loop(shape in shapes(), c in (chains(), chains())) {
        let ((x, m), (y, n)) = (viewed::<f64>(&shape, &c.0), viewed::<f64>(&shape, &c.1));
        let (y, n) = (y.map(|v| v + 0.5), Model { shape: n.shape, data: n.data.iter().map(|v| v + 0.5).collect() });
        let Ok(out) = broadcast_shapes("test", &m.shape, &n.shape) else { return Ok(()) };
        prop_assume!(out.numel() < 20_000);
        check_operator!(x m y n out + +=);
        check_operator!(x m y n out - -=);
        check_operator!(x m y n out * *=);
        check_operator!(x m y n out / /=);
    }

    #[test]
    fn views_of_one_buffer_do_not_disturb_each_other(shape in shapes()) {
        let (x, m) = viewed::<i64>(&shape, &[]);
        let flipped = |x: &Tensor<i64>| x.flip(..);
        let mut values = m.data.clone();
        values.reverse();
        let wanted = Model { shape: m.shape.clone(), data: m.data.iter().zip(&values).map(|(a, b)| a - b).collect() };
        wanted.agrees(&(&x - flipped(&x)));
        wanted.agrees(&(x.clone() - flipped(&x)));
        let y = flipped(&x);
        wanted.agrees(&(x - y));
    }

    #[test]
    fn numbers_go_on_either_side(shape in shapes(), chain in chains(), c in -4i32..5) {
        let (x, m) = viewed::<f32>(&shape, &chain);
        let (c, d) = (c as f32 + 0.5, f64::from(c) + 0.5);
        let check = |got: Tensor<f32>, f: &dyn Fn(f32) -> f32| Model::from_fn(&m.shape, |i| f(m.at(i))).agrees(&got);
        check(&x + d, &|v| v + c);
        check(x.copy() - d, &|v| v - c);
        check(x.clone() * d, &|v| v * c);
        check(&x / d, &|v| v / c);
        check(d + &x, &|v| c + v);
        check(d - x.copy(), &|v| c - v);
        check(d * x.clone(), &|v| c * v);
        check(d / (&x + 200.0), &|v| c / (v + 200.0));
        check(-&x, &|v| -v);
        check(-x.copy(), &|v| -v);
        let mut y = x.clone();
        y += d;
        y *= 2.0;
        y -= 1.0;
        y /= 4.0;
        check(y, &|v| ((v + c) * 2.0 - 1.0) / 4.0);
        m.agrees(&x);
    }
}

/// Where the elements lie.
fn place(x: &Tensor<f32>) -> *const f32 {
    x.as_slice().expect("contiguous").as_ptr()
}

#[test]
fn an_operand_that_is_not_shared_is_overwritten() {
    let y = Tensor::<f32>::ones([50, 40]);
    let row = Tensor::<f32>::ones([40]);
    let new = || Tensor::<f32>::zeros([50, 40]);
    type Form<'a> = (&'static str, &'a dyn Fn(Tensor<f32>) -> Tensor<f32>);
    let forms: [Form; 13] = [
        ("x + &y", &|x| x + &y),
        ("&y + x", &|x| &y + x),
        ("x + y", &|x| x + y.clone()),
        ("y + x", &|x| y.clone() + x),
        ("x + &row", &|x| x + &row),
        ("&row - x", &|x| &row - x),
        ("row - x", &|x| row.clone() - x),
        ("x * &y.flip", &|x| x * &y.flip(0)),
        ("x + 1", &|x| x + 1.0),
        ("1 / x", &|x| 1.0 / x),
        ("-x", &|x| -x),
        ("map_into", &|x| x.map_into(|v| v + 1.0)),
        ("+=", &|mut x| {
            x += &row;
            x *= 2.0;
            x
        }),
    ];
    for (name, f) in forms {
        let x = new();
        let at = place(&x);
        assert_eq!(place(&f(x)), at, "{name} took a new buffer");
    }
    for (name, f) in forms {
        let x = new();
        let other = x.clone();
        assert_ne!(place(&f(x)), place(&other), "{name} wrote to a shared buffer");
        assert_eq!(other, new(), "{name} changed another owner's values");
    }
    let x = new().t();
    let at = place(&x.t());
    assert_eq!(place(&x.map_into(|v| v + 1.0).t()), at, "a transposed buffer can be written as well");
}

#[test]
fn a_failed_assignment_leaves_the_left_hand_side() {
    let mut x = Tensor::<f32>::ones([3]);
    let message = panic_of(|| x += &Tensor::zeros([2, 3]));
    assert!(message.starts_with("add_assign at crates/tensor/tests/suite/operators.rs:"), "{message}");
    assert!(message.ends_with("[2, 3] does not broadcast to [3], the shape of the left-hand side"), "{message}");
    let message = panic_of(|| x -= &Tensor::zeros([2]));
    assert!(message.contains("sub_assign at") && message.contains("shapes [3] and [2] do not broadcast"), "{message}");
    assert_eq!(x, Tensor::ones([3]));
}

#[test]
fn mistakes_name_op_place_and_shapes_in_order() {
    let (x, y) = (Tensor::<f32>::zeros([2, 3]), Tensor::<f32>::zeros([4]));
    for message in
        [panic_of(|| &x * &y), panic_of(|| x.copy() * &y), panic_of(|| &x * y.copy()), panic_of(|| x.copy() * y.copy())]
    {
        assert!(message.starts_with("mul at crates/tensor/tests/suite/operators.rs:"), "{message}");
        assert!(message.contains("shapes [2, 3] and [4] do not broadcast: axis -1 is 3 against 4"), "{message}");
    }
    assert!(panic_of(|| &y - x.copy()).contains("shapes [4] and [2, 3] do not broadcast"));
}
