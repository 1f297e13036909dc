//! Schedules at the edges of their arguments, and plateaus of metrics of any sign and size.

use gradus_optim::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The rates after each of `metrics`.
fn rates(mut schedule: ReduceLrOnPlateau, metrics: &[f64]) -> Vec<f64> {
    let rates = metrics.iter().map(|&metric| {
        schedule.observe(metric);
        (schedule.lr(1.0, 0) * 1e6).round() / 1e6
    });
    rates.collect()
}

fn first(schedule: impl Schedule, n: u64) -> Vec<f64> {
    (0..n).map(|t| schedule.lr(1.0, t)).collect()
}

const FALLING: [f64; 8] = [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01];

#[test]
fn a_metric_that_stays_is_a_plateau_whatever_its_sign_and_size() {
    for metric in [-10.0, 10.0, 0.0, -0.0, -1e-300, 1e-300, -1e300, 1e300, 5e-324, -5e-324] {
        for plateau in [ReduceLrOnPlateau::new(0.1), ReduceLrOnPlateau::new(0.1).maximize()] {
            let by_default = rates(plateau.clone().patience(2), &[metric; 8]);
            assert_eq!(by_default, FALLING, "{metric} {plateau:?}");
            for by in [PlateauThreshold::Relative(0.0), PlateauThreshold::Relative(0.5), PlateauThreshold::Absolute(0.1)] {
                assert_eq!(
                    rates(plateau.clone().patience(2).threshold(by), &[metric; 8]),
                    FALLING,
                    "{metric} {plateau:?} {by:?}"
                );
            }
        }
    }
}

#[test]
fn a_negative_metric_gets_better_by_a_share_of_its_size() {
    let strict = || ReduceLrOnPlateau::new(0.5).patience(0).threshold(PlateauThreshold::Relative(0.1));
    // Better than -10 by a tenth is below -11; -11 itself is not.
    assert_eq!(rates(strict(), &[-10.0, -11.0, -11.5, -12.5, -12.7]), [1.0, 0.5, 0.5, 0.25, 0.25]);
    // The other way, better than -10 is above -9.
    assert_eq!(rates(strict().maximize(), &[-10.0, -9.5, -8.9, -8.5, -7.9]), [1.0, 0.5, 0.5, 0.25, 0.25]);
    // Through 0 any progress counts.
    assert_eq!(rates(strict(), &[0.0, -1e-9, -1e-9]), [1.0, 1.0, 0.5]);
}

#[test]
fn metrics_that_are_not_finite_are_no_progress_but_for_the_best_there_is() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let patient = || ReduceLrOnPlateau::new(0.1).patience(1);
    assert_eq!(rates(patient(), &[nan, nan, nan, nan]), [1.0, 0.1, 0.1, 0.01]);
    assert_eq!(rates(patient(), &[inf, inf, 5.0, 5.0, 4.0]), [1.0, 0.1, 0.1, 0.1, 0.1]);
    assert_eq!(rates(patient(), &[-inf, -inf, -inf, -inf]), [1.0, 1.0, 0.1, 0.1]);
    assert_eq!(rates(patient().maximize(), &[-inf, -inf, -5.0, -5.0]), [1.0, 0.1, 0.1, 0.1]);
    assert_eq!(rates(patient().maximize(), &[inf, inf, inf, inf]), [1.0, 1.0, 0.1, 0.1]);
}

#[test]
fn a_fall_that_has_reached_its_end_costs_no_time() {
    let mut plateau = ReduceLrOnPlateau::new(0.5).min_lr(0.1);
    for (name, v) in plateau.state_mut() {
        if name == "reductions" {
            *v = 1e300;
        }
    }
    assert_eq!(plateau.lr(1.0, 0), 0.1);
}

#[test]
fn a_phase_of_length_0_is_over_at_once() {
    assert_eq!(first(LinearLr::warm_up(0), 3), [1.0; 3]);
    assert_eq!(first(LinearLr::warm_up(1), 3), [1.0; 3]);
    assert_eq!(first(LinearLr::new(0.5, 0.25, 0), 3), [0.25; 3]);
    assert_eq!(first(LinearLr::new(0.0, 1.0, 2), 4), [0.0, 0.5, 1.0, 1.0]);
    assert_eq!(first(ConstantLr::new(0.5, 0), 3), [1.0; 3]);
    assert_eq!(first(PolynomialLr::new(0, 2.0), 3), [0.0; 3]);
    assert_eq!(first(CosineAnnealingLr::new(0), 3), [0.0; 3]);
    assert_eq!(first(CosineAnnealingLr::new(0).eta_min(0.25), 3), [0.25; 3]);
    assert_eq!(first(OneCycleLr::new(1), 3), [1.0 / 25.0 / 1e4; 3]);
    assert_eq!(first(MultiStepLr::new([0, 0], 0.5), 3), [0.25; 3]);
}

#[test]
fn schedules_whose_turn_has_no_length_are_passed_over() {
    let halves = || ExponentialLr::new(0.5);
    assert_eq!(first(SequentialLr::new(LinearLr::warm_up(0)).then(0, halves()), 3), [1.0, 0.5, 0.25]);
    let none = SequentialLr::new(ConstantLr::new(0.1, 9))
        .then(1, ConstantLr::new(0.2, 9))
        .then(1, ConstantLr::new(0.3, 9))
        .then(1, halves());
    assert_eq!(first(none, 4), [0.1, 1.0, 0.5, 0.25]);
    let cosine = SequentialLr::new(LinearLr::warm_up(2)).then(2, CosineAnnealingLr::new(0).eta_min(0.1)).then(3, halves());
    assert_eq!(first(cosine, 5), [0.5, 1.0, 0.1, 1.0, 0.5]);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let refused = |f: fn(), wanted: &str| {
        let panic = catch_unwind(AssertUnwindSafe(f)).expect_err(wanted);
        let text = panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(|s| s.to_string())).unwrap();
        assert!(text.contains(wanted), "{text}\nlacks {wanted}");
    };
    refused(|| _ = StepLr::new(0, 0.1), "StepLr: step_size is 0; expected 1 or more");
    refused(|| _ = StepLr::new(2, -0.5), "StepLr: gamma is -0.5");
    refused(|| _ = StepLr::new(2, f64::NAN), "StepLr: gamma is NaN");
    refused(|| _ = MultiStepLr::new([1], f64::INFINITY), "MultiStepLr: gamma is inf");
    refused(|| _ = ExponentialLr::new(-1.0), "ExponentialLr: gamma is -1");
    refused(|| _ = ConstantLr::new(-1.0, 3), "ConstantLr: factor is -1");
    refused(|| _ = LinearLr::new(f64::NAN, 1.0, 3), "LinearLr: start_factor is NaN");
    refused(|| _ = LinearLr::new(0.1, -1.0, 3), "LinearLr: end_factor is -1");
    refused(|| _ = PolynomialLr::new(3, 0.0), "PolynomialLr: power is 0");
    refused(|| _ = CosineAnnealingLr::new(3).eta_min(-1.0), "CosineAnnealingLr: eta_min is -1");
    refused(|| _ = CosineAnnealingWarmRestarts::new(0), "CosineAnnealingWarmRestarts: t_0 is 0; expected 1 or more");
    refused(|| _ = CosineAnnealingWarmRestarts::new(1).t_mult(0), "CosineAnnealingWarmRestarts: t_mult is 0; expected 1 or more");
    refused(|| _ = OneCycleLr::new(0), "OneCycleLr: total_steps is 0; expected 1 or more");
    refused(|| _ = OneCycleLr::new(9).pct_start(1.5), "OneCycleLr: pct_start is 1.5");
    refused(|| _ = OneCycleLr::new(9).div_factor(0.0), "OneCycleLr: div_factor is 0");
    refused(|| _ = OneCycleLr::new(9).final_div_factor(0.0), "OneCycleLr: final_div_factor is 0");
    refused(|| _ = ReduceLrOnPlateau::new(1.0), "ReduceLrOnPlateau: factor is 1");
    refused(
        || _ = ReduceLrOnPlateau::new(0.5).threshold(PlateauThreshold::Relative(f64::NAN)),
        "ReduceLrOnPlateau: threshold is NaN",
    );
    refused(
        || _ = SequentialLr::new(LinearLr::warm_up(2)).then(3, StepLr::new(1, 0.1)).then(2, StepLr::new(1, 0.1)),
        "SequentialLr: the milestone 2 is before 3",
    );
}
