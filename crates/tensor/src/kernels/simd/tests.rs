//! The vectors that tests of kernels do not reach on every processor: arrays, and those of the narrowest instruction set.

use super::vector::Vector;
use crate::scalar::Scalar;

/// Every function of a vector gives what it says of each lane.
fn check<T: Scalar, V: Vector<T>, const N: usize>() {
    assert_eq!(V::LANES, N);
    let number = |v: f64| T::lit(v);
    let [a, b, c]: [[T; N]; 3] =
        [1.5, -2.25, 0.75].map(|v| std::array::from_fn(|i| number(v + (i * i) as f64 * if i % 2 == 0 { 1.0 } else { -3.0 })));
    let lanes = |v: V| {
        let mut lanes = [T::zero(); N];
        // SAFETY: every processor has these vectors, and there is room for all lanes.
        unsafe { v.store(lanes.as_mut_ptr()) };
        lanes
    };
    // SAFETY: every processor has these vectors; no more is read or written than the arrays have.
    unsafe {
        let [x, y, z] = [&a, &b, &c].map(|v| V::load(v.as_ptr()));
        assert_eq!(lanes(V::splat(b[0])), [b[0]; N]);
        assert_eq!(lanes(x.add(y)), std::array::from_fn(|i| a[i] + b[i]));
        assert_eq!(lanes(x.sub(y)), std::array::from_fn(|i| a[i] - b[i]));
        assert_eq!(lanes(x.mul(y)), std::array::from_fn(|i| a[i] * b[i]));
        assert_eq!(lanes(y.abs()), std::array::from_fn(|i| b[i].abs()));
        assert_eq!(lanes(x.max(y)), std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] }));
        assert_eq!(lanes(x.mul_add(y, z)), std::array::from_fn(|i| a[i] * b[i] + c[i]));
        assert_eq!(lanes(V::splat(T::NAN).max(y)), b, "the second of two where the first is NaN");
        let both = |i: usize| if i < N { a[i] } else { b[i - N] };
        assert_eq!(x.even_odd(y).map(lanes), [0, 1].map(|odd| std::array::from_fn(|i| both(2 * i + odd))));
        assert_eq!(x.interleave(y).map(lanes), [0, N].map(|at| std::array::from_fn(|i| [a, b][i % 2][(at + i) / 2])));
        assert_eq!(lanes(x.select(x.exceeds(y), y)), std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] }));
        let nan = V::splat(T::NAN);
        assert_eq!(lanes(x.select(nan.exceeds(y), y)), a, "NaN is larger than any number");
        assert_eq!(lanes(x.select(x.exceeds(nan), y)), b, "nothing is larger than NaN");
        for n in 0..=N {
            // An allocation of its own, so that a sanitizer sees what is read or written beyond it.
            let mut part = a[..n].to_vec();
            assert_eq!(lanes(V::load_first(part.as_ptr(), n)), std::array::from_fn(|i| if i < n { a[i] } else { T::zero() }));
            y.store_first(part.as_mut_ptr(), n);
            assert_eq!(part, b[..n]);
            for first in 0..=n {
                let there = |i: usize| (first..n).contains(&i);
                let v = V::load_masked(a.as_ptr(), V::mask(first, n));
                assert_eq!(lanes(v), std::array::from_fn(|i| if there(i) { a[i] } else { T::zero() }), "lanes {first}..{n}");
            }
        }
        let step = N + 3;
        let rows: [V; N] = std::array::from_fn(|j| V::splat(number(10.0 * j as f64)).add(x));
        let mut to = vec![T::zero(); N * step];
        V::store_transposed(&rows, to.as_mut_ptr(), step);
        for (i, row) in to.chunks(step).enumerate() {
            let wanted: Vec<T> = (0..step).map(|j| if j < N { number(10.0 * j as f64) + a[i] } else { T::zero() }).collect();
            assert_eq!(row, wanted, "row {i}");
        }
    }
}

#[test]
fn arrays_are_vectors() {
    check::<f32, [f32; 4], 4>();
    check::<f64, [f64; 2], 2>();
}

#[cfg(target_arch = "x86_64")]
#[test]
fn vectors_of_128_bits() {
    check::<f32, super::x86::V128<f32>, 4>();
    check::<f64, super::x86::V128<f64>, 2>();
}
