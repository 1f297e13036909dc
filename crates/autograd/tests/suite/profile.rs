//! Time and memory by op and by line.

use gradus_autograd::{GradMode, ProfileRow, Var, detect_anomaly, grad, no_grad, op, profile, record_function};
use gradus_tensor::{Rng, Tensor};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn leaf(shape: [usize; 2], seed: u64) -> Var {
    Var::leaf(Tensor::normal(shape, 0.0, 1.0, &mut Rng::seed(seed)))
}

fn row<'a>(rows: &'a [ProfileRow], name: &str) -> &'a ProfileRow {
    rows.iter().find(|r| r.name.ends_with(name)).unwrap_or_else(|| panic!("no `{name}` in {rows:?}"))
}

fn calls(rows: &[ProfileRow]) -> Vec<(&str, usize, usize)> {
    let mut calls: Vec<_> = rows.iter().map(|r| (r.name.as_str(), r.calls, r.backward_calls)).collect();
    calls.sort_unstable();
    calls
}

/// An op that takes this long, forward and backward.
#[track_caller]
fn slow(x: &Var, forward: u64, backward: u64) -> Var {
    sleep(Duration::from_millis(forward));
    op("slow", [x], x.value().clone(), move |p| {
        sleep(Duration::from_millis(backward));
        [Some(p.gy().clone())]
    })
}

#[test]
fn every_call_of_a_known_net_is_counted() {
    let (w1, b1, w2, x) = (leaf([32, 16], 0), leaf([1, 16], 1), leaf([16, 4], 2), leaf([8, 32], 3));
    let (grads, profile) = profile(|| {
        let mut all = None;
        for _ in 0..3 {
            let h = (x.detach().matmul(&w1) + &b1).tanh();
            all = Some((h.matmul(&w2).square() * 0.5).sum(..).backward());
        }
        all
    });
    assert_eq!(grads.unwrap().len(), 3);
    let rows = profile.by_op();
    let wanted = [("add", 3, 3), ("matmul", 6, 6), ("mul_scalar", 3, 3), ("square", 3, 3), ("sum", 3, 3), ("tanh", 3, 3)];
    assert_eq!(calls(&rows), wanted);
    let times: Vec<Duration> = rows.iter().map(ProfileRow::time).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "the dearest first: {times:?}");
    assert!(times.iter().sum::<Duration>() + profile.outside() <= profile.wall_time());
    let lines = profile.by_line();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|l| l.name.contains("profile.rs:")));
    let total = |rows: &[ProfileRow]| {
        rows.iter()
            .map(|r| (r.time(), r.calls + r.backward_calls, r.bytes_at_peak))
            .fold((Duration::ZERO, 0, 0), |sum, r| (sum.0 + r.0, sum.1 + r.1, sum.2 + r.2))
    };
    assert_eq!(total(&rows), total(&lines));
}

#[test]
fn time_goes_to_the_op_and_the_line_that_take_it() {
    let x = leaf([2, 2], 0);
    let line = line!() + 1;
    let ((), profile) = profile(|| drop(slow(&slow(&x, 4, 8).exp(), 6, 2).sum(..).backward()));
    let ms = Duration::from_millis;
    let by_op = profile.by_op();
    let slow_row = row(&by_op, "slow");
    assert_eq!((slow_row.calls, slow_row.backward_calls), (2, 2));
    assert!(slow_row.forward >= ms(10) && slow_row.backward >= ms(10), "{slow_row:?}");
    assert!(profile.wall_time() >= slow_row.time());
    assert_eq!(profile.by_line().len(), 1);
    assert!(profile.by_line()[0].name.ends_with(&format!("tests/suite/profile.rs:{line}")));
}

#[test]
fn what_is_no_op_is_outside_or_has_a_name() {
    let x = leaf([2, 2], 0);
    let ms = Duration::from_millis;
    let ((), profile) = profile(|| {
        record_function("load batch", || sleep(ms(5)));
        drop(x.exp().sum(..).backward());
        sleep(ms(100));
        record_function("optimizer step", || sleep(ms(3)));
        sleep(ms(100));
    });
    let rows = profile.by_op();
    assert!(row(&rows, "load batch").forward >= ms(5) && row(&rows, "optimizer step").forward >= ms(3));
    assert!(profile.outside() >= ms(200));
    assert!(rows.iter().all(|r| r.backward_calls <= r.calls));
    // Neither the walk's time nor the pauses are the ops'.
    assert!(rows.iter().all(|r| r.time() < ms(100)));
    assert_eq!(record_function("outside of a profile", || 3), 3);
}

#[test]
fn nothing_is_noted_after_the_end_nor_in_other_threads() {
    let x = leaf([2, 2], 0);
    let (y, first) = profile(|| x.exp());
    let z = y.ln();
    assert_eq!(calls(&first.by_op()), [("exp", 1, 0)]);
    let tape = z.tape();
    assert!(tape[1].time.is_some() && tape[2].time.is_none(), "{tape:?}");
    let ((), second) = profile(|| {
        std::thread::scope(|s| s.spawn(|| drop(x.sin())).join().unwrap());
        x.cos();
    });
    assert_eq!(calls(&second.by_op()), [("cos", 1, 0)]);
    assert!(calls(&profile(|| ()).1.by_op()).is_empty());
}

#[test]
fn a_panic_leaves_nothing_switched_on() {
    let x = leaf([2, 2], 0);
    let outer = profile(|| {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            profile(|| {
                x.exp();
                panic!("on purpose")
            })
        }));
        assert!(panicked.is_err());
        let failed =
            catch_unwind(AssertUnwindSafe(|| op("broken", [&x], x.value().clone(), |_| panic!("on purpose")).sum(..).backward()));
        assert!(failed.is_err());
        x.sin().sum(..).backward()
    });
    let wanted = [("broken", 1, 0), ("exp", 1, 0), ("sin", 1, 1), ("sum", 2, 2)];
    assert_eq!(calls(&outer.1.by_op()), wanted);
    assert!(x.exp().tape()[1].time.is_none());
    assert_eq!(calls(&profile(|| x.cos()).1.by_op()), [("cos", 1, 0)]);
}

#[test]
fn profiles_nest() {
    let x = leaf([128, 128], 0);
    let ((inner, y), outer) = profile(|| {
        let before = x.exp();
        let (y, inner) = profile(|| before.sin());
        let after = y.cos();
        (inner, after)
    });
    assert_eq!(calls(&inner.by_op()), [("sin", 1, 0)]);
    assert_eq!(calls(&outer.by_op()), [("cos", 1, 0), ("exp", 1, 0), ("sin", 1, 0)]);
    assert_eq!((inner.peak_bytes(), row(&inner.by_op(), "sin").bytes_at_peak), (65_536, 65_536));
    assert!(outer.peak_bytes() == 3 * 65_536 && inner.wall_time() <= outer.wall_time());
    assert!(y.tape().iter().filter(|e| e.time.is_some()).count() == 3);
}

#[test]
fn rules_are_their_ops_also_when_differentiated() {
    let x = leaf([3, 3], 0);
    let (_, profile) = profile(|| {
        let g = grad(&x.tanh().sum(..), &[&x], GradMode::Differentiable).unwrap().remove(0);
        g.sum(..).backward()
    });
    let rows = profile.by_op();
    let tanh = row(&rows, "tanh");
    assert_eq!((tanh.calls, tanh.backward_calls), (1, 2), "once in either walk");
    // The ops that the rule of tanh was differentiated into were part of that rule forward, and have rules of their own.
    assert_eq!((row(&rows, "square").calls, row(&rows, "square").backward_calls), (0, 1));
    assert!(rows.iter().map(ProfileRow::time).sum::<Duration>() + profile.outside() <= profile.wall_time());
}

#[test]
fn unrecorded_ops_are_counted_and_anomalies_found_inside() {
    let x = leaf([2, 2], 0);
    let (found, profile) = profile(|| {
        no_grad(|| x.exp());
        detect_anomaly(|| (x.square() * -1.0).ln().sum(..).backward()).unwrap_err()
    });
    assert_eq!(found.op, "ln");
    assert_eq!(calls(&profile.by_op()), [("exp", 1, 0), ("ln", 1, 1), ("mul_scalar", 1, 1), ("square", 1, 1), ("sum", 1, 1)]);
}

#[test]
fn the_tape_of_a_profile_tells_what_each_op_keeps() {
    const KIB: usize = 1024;
    // 64 KiB each; a power of two has no slack.
    let (x, w) = (leaf([128, 128], 0), leaf([128, 128], 1));
    let (y, profile) = profile(|| {
        let y = (x.matmul(&w).tanh() + 1.0).square().sum(..);
        let kept: Vec<_> = y.tape().iter().filter_map(|e| Some((e.name, e.kept?))).collect();
        // The product is read by no rule; tanh's result is kept for its rule, the sum for the square's.
        let wanted = [("matmul", 0), ("tanh", 64 * KIB), ("add_scalar", 64 * KIB), ("square", 0), ("sum", 0)];
        assert_eq!(kept, wanted);
        y
    });
    let tape = y.tape();
    assert_eq!(tape.iter().filter_map(|e| e.kept).sum::<usize>(), 128 * KIB);
    assert!(tape.iter().filter(|e| !e.is_leaf()).all(|e| e.time.is_some_and(|t| t <= profile.wall_time())));
    assert!(tape.iter().filter(|e| e.is_leaf()).all(|e| e.time.is_none() && e.kept.is_none()));
    let text = tape.to_string();
    assert!(text.contains("128.0 KiB kept"), "{text}");
    assert!(tape.to_svg().contains("keeps 64.0 KiB"));
    let at_peak: usize = profile.by_op().iter().map(|r| r.bytes_at_peak).sum();
    assert_eq!(at_peak, profile.peak_bytes());
    assert!((128 * KIB..=256 * KIB).contains(&profile.peak_bytes()), "{}", profile.peak_bytes());
}

#[test]
fn json_and_trace_say_the_same() {
    let x = leaf([64, 64], 0);
    let (_, profile) = profile(|| x.matmul(&x).tanh().sum(..).backward());
    let json: Value = serde_json::from_str(&profile.to_json()).unwrap();
    let ops = json["ops"].as_array().unwrap();
    assert_eq!(ops.len(), 3);
    for row in profile.by_op() {
        let op = ops.iter().find(|o| o["op"] == row.name.as_str()).unwrap();
        assert_eq!(op["calls"].as_u64(), Some(row.calls as u64));
        assert_eq!(op["forward_ns"].as_u64(), Some(row.forward.as_nanos() as u64));
        assert_eq!(op["backward_ns"].as_u64(), Some(row.backward.as_nanos() as u64));
        assert_eq!(op["bytes_at_peak"].as_u64(), Some(row.bytes_at_peak as u64));
        assert!(op["file"].as_str().unwrap().ends_with("profile.rs") && op["line"].as_u64() > Some(0));
    }
    assert_eq!(json["peak_bytes"].as_u64(), Some(profile.peak_bytes() as u64));
    let trace: Value = serde_json::from_str(&profile.to_chrome_trace()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |kind: &str| events.iter().filter(|e| e["cat"] == kind).map(|e| e["name"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(of("forward"), ["matmul", "tanh", "sum"]);
    assert_eq!(of("backward"), ["sum", "tanh", "matmul"]);
    // Stretches follow each other, and their times are the rows'.
    let stretches: Vec<(f64, f64)> =
        events.iter().filter(|e| e["ph"] == "X").map(|e| (e["ts"].as_f64().unwrap(), e["dur"].as_f64().unwrap())).collect();
    assert!(stretches.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0 + 1e-6));
    let total: f64 = stretches.iter().map(|s| s.1).sum();
    let rows: f64 = profile.by_op().iter().map(|r| r.time().as_secs_f64() * 1e6).sum();
    assert!((total - rows).abs() < 1e-3, "{total} and {rows}");
}

#[test]
fn the_printed_profile_is_in_order() {
    let x = leaf([8, 8], 0);
    let ((), profile) = profile(|| drop(slow(&x.exp(), 3, 3).sum(..).backward()));
    let text = profile.to_string();
    for (line, row) in text.lines().skip(2).zip(profile.by_op()) {
        assert!(line.starts_with(&row.name) && line.contains(&row.calls.to_string()), "{text}");
    }
    assert!(text.lines().next().unwrap().split_whitespace().eq("op calls forward rules backward time share at peak".split(' ')));
    assert!(text.contains("profile.rs:") && text.contains(" in all, "));
}

#[test]
fn a_profile_of_many_ops_is_quick_and_bounded() {
    let x = Var::leaf(Tensor::<f32>::ones([4]));
    let start = Instant::now();
    let (_, profile) = profile(|| (0..20_000).fold(x.clone(), |y, _| y * 1.0).sum(..).backward());
    assert_eq!(row(&profile.by_op(), "mul_scalar").calls, 20_000);
    assert!(start.elapsed() < Duration::from_secs(5));
}
