//! What the checks of layers and models find, and what they leave alone.

use gradus_autograd::{Buffer, Module, Param, Var, op};
use gradus_check::{Checker, Fault, LayerInput, Report, check_layer, check_module};
use gradus_derive::Module;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};

/// `x² w` with an error in the gradient of `w`, behind a layer that is right.
#[derive(Module)]
#[module(f64)]
struct Wrong {
    first: Linear<f64>,
    scale: Param<f64>,
}

impl Layer<f64> for Wrong {
    fn forward(&self, x: &Var<f64>, mode: &mut Mode) -> Var<f64> {
        let x = self.first.forward(x, mode);
        let (a, w) = (x.clone(), (*self.scale).clone());
        op("scaled", [&x, &self.scale], x.value() * self.scale.value(), move |p| {
            [Some(p.gy() * &w), Some((p.gy() * &a).sum_to(w.shape()) * 1.5)]
        })
    }
}

fn wrong() -> Wrong {
    Wrong { first: Linear::new(3, 2, &mut Rng::seed(1)), scale: Param::new(Tensor::from([0.5, 2.0])) }
}

#[test]
fn a_wrong_parameter_is_named_by_its_path_and_the_users_line() {
    let failure = check_layer(wrong(), [4, 3]).unwrap_err();
    let line = line!() - 1;
    let finding = &failure.report().failures()[0];
    assert_eq!((finding.input_name.as_str(), finding.order, finding.fault.clone()), ("scale", 1, Fault::Wrong));
    assert!((finding.analytic / finding.numeric - 1.5).abs() < 1e-6);
    let text = failure.to_string();
    assert!(text.contains(&format!("`Wrong in evaluation` at crates/check/tests/suite/layers.rs:{line}:")), "{text}");
    assert!(text.contains("first derivative, scale at ["), "{text}");
    // The smallest case: one sample of one number, and a test that sets the parameters to the values found.
    assert!(failure.report().inputs().all(|a| a.len() == 1), "{text}");
    for part in
        ["fn the_gradient_of_wrong_in_evaluation()", "layer.for_each_parameter", "\"first.weight\" => p.set(", "check_layer("]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_parameter_without_influence_is_found_unless_it_is_frozen() {
    #[derive(Module)]
    #[module(f64)]
    struct Idle {
        used: Param<f64>,
        unused: Param<f64>,
    }
    impl Layer<f64> for Idle {
        fn forward(&self, x: &Var<f64>, _: &mut Mode) -> Var<f64> {
            x * &*self.used
        }
    }
    let make = || Idle { used: Param::new(Tensor::ones([1])), unused: Param::new(Tensor::ones([1])) };
    let failure = check_layer(make(), [2]).unwrap_err();
    assert!(failure.to_string().contains("the parameter `unused` has no influence on the result"), "{failure}");
    let mut frozen = make();
    frozen.unused.set_trainable(false);
    check_layer(frozen, [2]).unwrap();
}

/// The numbers that a tape does not see reach the result all the same.
#[test]
fn a_parameter_that_was_detached_is_a_wrong_gradient() {
    #[derive(Module)]
    #[module(f64)]
    struct Cut(Param<f64>);
    impl Layer<f64> for Cut {
        fn forward(&self, x: &Var<f64>, _: &mut Mode) -> Var<f64> {
            x * self.0.detach()
        }
    }
    let failure = check_layer(Cut(Param::new(Tensor::from([3.0]))), [2]).unwrap_err();
    let finding = &failure.report().failures()[0];
    assert_eq!((finding.input_name.as_str(), finding.analytic), ("0", 0.0));
}

/// Right to first order; to second, the output in its rule is a constant.
#[test]
fn a_layer_that_is_wrong_to_second_order_only_is_found() {
    #[derive(Module)]
    #[module(f64)]
    struct Severed;
    impl Layer<f64> for Severed {
        fn forward(&self, x: &Var<f64>, _: &mut Mode) -> Var<f64> {
            let y = x.value().exp();
            let constant = Var::constant(y.clone());
            op("severed", [x], y, move |p| [Some(p.gy() * &constant)])
        }
    }
    let failure = check_layer(Severed, [2]).unwrap_err();
    let finding = &failure.report().failures()[0];
    assert_eq!((finding.input_name.as_str(), finding.order), ("input", 2));
}

/// A rule that says that it has no second derivative is checked to the first, and is no false alarm.
#[test]
fn a_rule_that_can_be_differentiated_only_once_is_checked_once() {
    #[derive(Module)]
    #[module(f64)]
    struct Once {
        factor: f64,
    }
    impl Layer<f64> for Once {
        fn forward(&self, x: &Var<f64>, _: &mut Mode) -> Var<f64> {
            let (kept, factor) = (x.value().clone(), self.factor);
            op("once", [x], x.value().square(), move |p| {
                p.once_differentiable(|| [Some(Var::constant(p.gy().value() * &kept * factor))])
            })
        }
    }
    let [report, _] = check_layer(Once { factor: 2.0 }, [3]).unwrap();
    assert!(report.coverage(1).unwrap().checked > 0 && report.coverage(2).is_none());
    assert!(check_layer(Once { factor: 2.5 }, [3]).is_err());
}

/// Wrong in one mode only, with a buffer that counts the calls and dropout.
#[derive(Module)]
#[module(f64)]
struct Moody {
    calls: Buffer<f64>,
    dropout: Dropout,
    wrong_in_training: bool,
}

impl Layer<f64> for Moody {
    fn forward(&self, x: &Var<f64>, mode: &mut Mode) -> Var<f64> {
        let calls = self.calls.get();
        self.calls.set(&calls + 1.0);
        let x = &self.dropout.forward(x, mode) * Var::constant(calls);
        if mode.is_train() && self.wrong_in_training { &x + x.detach() } else { x }
    }
}

#[test]
fn random_draws_and_buffers_are_the_same_at_every_call_and_both_modes_are_checked() {
    let moody =
        |wrong_in_training| Moody { calls: Buffer::new(Tensor::scalar(3.0)), dropout: Dropout::new(0.5), wrong_in_training };
    let reports: [Report; 2] = check_layer(moody(false), [3, 4]).unwrap();
    assert!(reports.iter().all(|r| r.coverage(1).unwrap().share() == 1.0));
    let failure = check_layer(moody(true), [3, 4]).unwrap_err();
    assert!(failure.to_string().contains("`Moody in training`"), "{failure}");

    let mut model = moody(false);
    check_module(&mut model, [Tensor::ones([2])], |model, x| model.forward(&x[0], &mut Mode::Train(&mut Rng::seed(0))).sum(..))
        .unwrap();
    assert_eq!(model.calls.get().item(), 3.0, "the owner's buffers are as they were");
}

#[test]
fn a_model_is_checked_through_its_loss_and_left_as_it_was() {
    let rng = &mut Rng::seed(3);
    let mut net = Sequential::new().push("body", Linear::new(3, 4, rng)).add(Tanh).push("head", Linear::new(4, 2, rng));
    let before = net.state_dict();
    let (x, labels) = (Tensor::normal([5, 3], 0.0, 1.0, rng), Tensor::from([1i64, 0, 0, 1, 1]));
    let loss = |net: &&mut Sequential<f64>, x: &[Var<f64>]| net.forward(&x[0], &mut Mode::Eval).cross_entropy(&labels);
    let report = check_module(&mut net, std::slice::from_ref(&x), loss).unwrap();
    assert_eq!(report.inputs().count(), 5);
    assert_eq!(net.state_dict(), before);
    let wrong = |net: &&mut Sequential<f64>, x: &[Var<f64>]| {
        let loss = loss(net, x);
        let penalty = net.parameters()[2].square().sum(..);
        &loss + &penalty + penalty.detach()
    };
    let failure = Checker::new().shrink(false).check_module(&mut net, [x], wrong).unwrap_err();
    assert!(failure.report().failures().iter().all(|f| f.input_name == "head.weight"), "{failure}");
    assert_eq!(net.state_dict(), before);
}

#[test]
fn inputs_are_tensors_or_shapes() {
    assert_eq!([2, 3].tensor(&mut Rng::seed(0)).shape()[..], [2, 3]);
    check_layer(Relu6, Tensor::from([-1.0, 3.0, 7.0])).unwrap();
}
