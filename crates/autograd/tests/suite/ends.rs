//! Where a tape ended: what the messages say of a gradient that is not there.

use gradus_autograd::{Calculus, GradMode, Module, Param, Var, checkpoint, enable_grad, grad, grad_with, no_grad};
use gradus_tensor::Tensor;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn leaf(values: &[f64]) -> Var<f64> {
    Var::leaf(Tensor::from_vec(values.to_vec(), [values.len()]))
}

fn refusal(y: &Var<f64>, x: &Var<f64>) -> String {
    grad(&y.sum(..), &[x], GradMode::Plain).unwrap_err().to_string()
}

fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    *catch_unwind(AssertUnwindSafe(f)).err().expect("a panic").downcast::<String>().unwrap()
}

/// That the message has each of these, and this file's line.
#[track_caller]
fn says(message: &str, parts: &[&str], line: u32) {
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
    let at = format!("ends.rs:{line}:");
    assert!(message.contains(&at), "`{message}` does not say `{at}`");
}

#[test]
fn a_gradient_of_plain_gradients_says_so() {
    let x = leaf(&[2.0, 3.0]);
    let dx = grad(&x.powf(3.0).sum(..), &[&x], GradMode::Plain).unwrap().remove(0);
    let line = line!() - 1;
    let parts = ["y does not depend on xs[0] (shape [2])", "grad(.., GradMode::Plain)", "use GradMode::Differentiable"];
    says(&refusal(&dx, &x), &parts, line);
    // However the constant goes on.
    says(&refusal(&(&dx * 2.0).exp().reshape([2, 1]), &x), &parts, line);
    says(&refusal(&(dx.clone() * Var::constant(Tensor::ones([2]))), &x), &parts, line);
    // Beside others on the tape.
    let w = leaf(&[1.0, 1.0]);
    let mixed = &dx * &w;
    says(&refusal(&mixed, &x), &["the tape of y ends before it", "grad(.., GradMode::Plain)"], line);
    assert!(grad(&mixed.sum(..), &[&w], GradMode::Plain).is_ok());
    let by = grad_with(&x.square(), &w, &[&x], GradMode::Plain).unwrap().remove(0);
    let line = line!() - 1;
    says(&refusal(&by, &x), &parts, line);
    let right = grad(&x.powf(3.0).sum(..), &[&x], GradMode::Differentiable).unwrap().remove(0);
    assert_eq!(grad(&right.sum(..), &[&x], GradMode::Plain).unwrap()[0].value().to_vec(), [12.0, 18.0]);
}

#[test]
fn detach_says_so() {
    let (x, w) = (leaf(&[2.0, 3.0]), leaf(&[1.0, 4.0]));
    let cut = (&x * 3.0).detach();
    let line = line!() - 1;
    says(&refusal(&cut.square(), &x), &["y is a constant, computed from the result of detach() at"], line);
    says(&refusal(&(&cut * &w), &x), &["the tape of y ends before it, at the result of detach()"], line);
    // A constant's detached copy is still what the constant was cut from.
    says(&refusal(&cut.detach(), &x), &["the result of detach()"], line);
    let again = |v: &Var<f64>| v.detach() * 2.0;
    let other = line!() - 1;
    let message = refusal(&(again(&x) * &w + &cut * &w), &x);
    says(&message, &["; and at "], line);
    says(&message, &[], other);
    // In the segment of a checkpoint, of which the tape has one node.
    let held = w.clone();
    let y = checkpoint(move |x| x.detach() * &held, &x);
    let line = line!() - 1;
    says(&refusal(&y, &x), &["the tape of y ends before it, at the result of detach()"], line);
}

#[test]
fn no_grad_says_so() {
    let (x, w) = (leaf(&[2.0, 3.0]), leaf(&[1.0, 4.0]));
    let y = no_grad(|| (&x * 2.0).exp());
    let line = line!() - 1;
    says(&refusal(&y, &x), &["y is a constant, computed from a result of no_grad(..) at"], line);
    says(&refusal(&(&y + &w), &x), &["the tape of y ends before it, at a result of no_grad(..)"], line);
    let one = |x: &Var<f64>| no_grad(|| x + 1.0);
    let line = line!() - 1;
    says(&panic_of(|| one(&x).sum(..).backward()), &["backward: the result is a constant", "no_grad(..)"], line);
    says(&panic_of(|| one(&x).retain_grad()), &["retain_grad: no gradient reaches", "no_grad(..)"], line);
    assert!(no_grad(|| enable_grad(|| &x * 2.0)).requires_grad());
    // What was a constant before has no end inside `no_grad`.
    let never = no_grad(|| Var::constant(Tensor::from([1.0, 2.0])) * 2.0);
    assert!(refusal(&never, &x).ends_with("or from plain tensors (value(), item())"));
}

#[test]
fn plain_tensors_frozen_parameters_and_steps_say_so() {
    let (x, w) = (leaf(&[2.0, 3.0]), leaf(&[1.0, 4.0]));
    let rebuilt = Var::constant(x.value() * 2.0);
    assert!(
        refusal(&rebuilt, &x)
            .ends_with("y is a constant: it was computed from nothing on the tape, or from plain tensors (value(), item())")
    );
    assert!(refusal(&(rebuilt * &w), &x).contains("no op on the tape of y has it as an input"));
    assert!(refusal(&w.square(), &Var::constant(Tensor::zeros([2]))).ends_with("it is a constant; make it with Var::leaf"));
    let y = Calculus::sign(&x) * &w;
    assert!(refusal(&y, &x).contains("the tape of y ends before it, at a step function at"));
    let mut model = [Param::<f64>::new(Tensor::from([1.0, 2.0]))];
    model.freeze("0");
    assert!(refusal(&(&*model[0] * &w), &model[0]).ends_with("it is a frozen parameter, which is a constant; unfreeze it"));
    model.unfreeze("0");
    assert!(grad(&(&*model[0] * &w).sum(..), &[&model[0]], GradMode::Plain).is_ok());
}

#[test]
fn missing_gradients_of_backward_say_where_the_tape_ended() {
    let (x, w) = (leaf(&[2.0, 3.0]), leaf(&[1.0, 4.0]));
    let hidden = x.tanh().detach();
    let line = line!() - 1;
    let grads = (hidden * &w).sum(..).backward();
    let parts = [
        "no gradient for this variable of shape [2]: the result does not depend on it",
        "the tape ends at the result of detach()",
    ];
    says(&panic_of(|| grads[&x].clone()), &parts, line);
    let mut both = w.square().sum(..).backward();
    assert!(both.why_missing(&x).ends_with("the result does not depend on it"));
    both.accumulate(grads);
    says(&both.why_missing(&x), &["detach()"], line);
}

#[test]
fn many_ends_are_listed_in_part() {
    let (x, w) = (leaf(&[2.0]), leaf(&[1.0]));
    #[rustfmt::skip]
    let cuts = [
        x.detach(),
        x.detach(),
        x.detach(),
        x.detach(),
        x.detach(),
        x.detach(),
    ];
    let y = cuts.iter().fold(w.clone(), |sum, cut| sum + cut);
    let message = refusal(&y, &x);
    assert_eq!(message.matches("detach()").count(), 4, "{message}");
    assert!(message.ends_with("; and at 2 places more"), "{message}");
}
