//! `f32` against `f64`: the same formula, at another precision.

use crate::common::{cases, op_samples, run};
use gradus_tensor::{Rng, Tensor};

/// How far `f32` may be off: so many units of its precision, of the largest element or of 1.
const UNITS: f64 = 8.0;

#[test]
fn f32_is_within_its_precision_of_f64() {
    let (single, double) = (op_samples::<f32>(), op_samples::<f64>());
    let mut worst = (0.0, String::new());
    for (single, double) in single.iter().zip(&double) {
        assert_eq!(single.name, double.name);
        for seed in 0..cases(20) {
            let (mut a, mut b) = ((single.case)(&mut Rng::seed(seed)), (double.case)(&mut Rng::seed(seed)));
            // What both can hold.
            let rounded: Vec<Tensor<f64>> = b.inputs.iter().map(|x| x.cast::<f32>().cast()).collect();
            a.inputs.clone_from(&rounded);
            b.inputs = rounded;
            for (number, (found, exact)) in run(&a, seed).iter().zip(run(&b, seed)).enumerate() {
                let (found, exact) = (found.cast::<f64>().to_vec(), exact.to_vec());
                let size = exact.iter().fold(1.0f64, |m, v| m.max(v.abs()));
                let off = found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                let units = off / (size * f64::from(f32::EPSILON));
                let what = if number == 0 { "value".into() } else { format!("gradient of operand {}", number - 1) };
                let case = format!("`{}`, case {seed}: the {what} is off by {units:.1} units", single.name);
                assert!(units <= UNITS, "{case}: {found:?} instead of {exact:?}");
                if units > worst.0 {
                    worst = (units, case);
                }
            }
        }
    }
    println!("the largest difference: {}", worst.1);
}
