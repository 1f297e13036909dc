//! The list of this crate's ops. Their derivatives are checked by `gradus-check`'s tests.

use gradus_nn::samples::listed_ops;

#[test]
fn every_type_of_the_list_is_run_by_its_samples() {
    for listed in listed_ops::<f64>() {
        let samples = (listed.samples)();
        assert!(!samples.is_empty(), "{} has no samples", listed.type_name);
        for sample in samples {
            assert!(
                listed.recorded_by(&sample).is_some(),
                "the samples of `{}` never record a {}",
                sample.name,
                listed.type_name
            );
        }
    }
}
