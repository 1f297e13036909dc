//! Results do not depend on what fresh memory holds.

use crate::common::{bits, each_case, run};
use crate::threads::{large_calls, run_large};
use gradus_tensor::{Float, Tensor, poison_fresh_buffers};

fn all_results<T: Float>() -> Vec<(String, Vec<Vec<u64>>)> {
    let mut all = Vec::new();
    each_case::<T>(8, |sample, seed, case| all.push((format!("`{}`, case {seed}", sample.name), bits(&run(&case, seed)))));
    all.extend(large_calls::<T>().into_iter().map(|(name, shapes, call)| (name.to_string(), run_large(&shapes, call))));
    all
}

/// One test, for the switch is one for the whole process; other tests' results must not change by it either.
#[test]
fn buffers_full_of_nan_change_no_result() {
    let (f32_before, f64_before) = (all_results::<f32>(), all_results::<f64>());
    poison_fresh_buffers(true);
    for n in [3, 100, 5000] {
        assert!(Tensor::<f32>::build([n], |_| ()).to_vec().iter().all(|v| v.is_nan()), "the switch does nothing");
    }
    let (f32_after, f64_after) = (all_results::<f32>(), all_results::<f64>());
    poison_fresh_buffers(false);
    for (before, after) in [(f32_before, f32_after), (f64_before, f64_after)] {
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            assert!(before == after, "{name} reads memory that it has not written");
        }
    }
}
