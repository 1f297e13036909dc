//! What second derivatives are for: a loss with a gradient in it, a step of training within training, Newton's method.

use gradus::autograd::hvp;
use gradus::check::Checker;
use gradus::prelude::*;

fn length(v: &Tensor<f64>) -> f64 {
    v.square().sum(..).sqrt().item()
}

/// How steep the critic is at each row of `x`, differentiable again.
fn steepness(critic: &Sequential, x: Tensor) -> Var {
    let x = Var::leaf(x);
    let score = critic.forward(&x, &mut Mode::Eval).sum(..);
    let slope = grad(&score, &[&x], GradMode::Differentiable).unwrap().remove(0);
    (slope.square().sum(1) + 1e-12).sqrt()
}

/// The critic of a Wasserstein GAN with gradient penalty (Gulrajani et al. 2017), for two clouds of points that are one
/// shifted against the other: their distance is the shift's length, and the best critic has slope 1 between them.
#[test]
fn a_gradient_penalty_trains_a_critic_to_slope_one_and_the_right_distance() {
    let rng = &mut Rng::seed(0);
    let shift = Tensor::from([1.2f32, -0.5]);
    let mut critic: Sequential = Sequential::new()
        .add(Linear::new(2, 32, rng))
        .add(Tanh)
        .add(Linear::new(32, 32, rng))
        .add(Tanh)
        .add(Linear::new(32, 1, rng));
    let cloud = |rng: &mut Rng| Tensor::<f32>::normal([64, 2], 0.0, 0.3, rng);
    let between = |rng: &mut Rng| {
        let t = Tensor::<f32>::uniform([64, 1], 0.0, 1.0, rng);
        cloud(rng) + &shift * t
    };
    let before = steepness(&critic, between(rng)).value().mean(..).item();
    let mut opt = Adam::new(3e-3);
    for _ in 0..300 {
        let (real, fake) = (cloud(rng) + &shift, cloud(rng));
        let score = |x: Tensor| critic.forward(&x.into(), &mut Mode::Eval).mean(..);
        let penalty = (steepness(&critic, between(rng)) - 1.0).square().mean(..);
        let loss = score(fake) - score(real) + penalty * 10.0;
        opt.step(&mut critic, loss.backward()).unwrap();
    }
    let slopes = steepness(&critic, between(rng)).value().clone();
    let slope = slopes.mean(..).item();
    let spread = (slopes - f64::from(slope)).square().mean(..).sqrt().item();
    println!("slope: {before:.3} before, {slope:.3} after, {spread:.3} around it");
    // A penalty of 10 (s - 1)² against a gain of s times the distance settles a little above 1.
    let settled = 1.0 + 1.3 / 20.0;
    assert!(before < 0.5 && (slope - settled).abs() < 0.02 && spread < 0.05);
    let score = |x: Tensor| critic.forward(&x.into(), &mut Mode::Eval).value().mean(..).item();
    let points = cloud(rng);
    let distance = score(&points + &shift) - score(points);
    println!("distance: {:.3} for 1.3", distance / settled);
    assert!((distance / settled - 1.3).abs() < 0.03);
}

/// A network of one hidden layer, as a function of its weights.
fn network<T: Float>(w: &[Var<T>], x: &Var<T>) -> Var<T> {
    x.linear(&w[0], Some(&w[1])).tanh().linear(&w[2], Some(&w[3]))
}

fn weights<T: Float>(hidden: usize, rng: &mut Rng) -> Vec<Tensor<T>> {
    let shapes = [vec![hidden, 1], vec![hidden], vec![1, hidden], vec![1]];
    shapes.into_iter().map(|shape| Tensor::normal(shape, 0.0, 0.7, rng)).collect()
}

/// Ten points of a sine of random height and phase to learn from, ten to be judged by.
struct Task<T: Float> {
    learn: (Var<T>, Var<T>),
    judge: (Var<T>, Var<T>),
}

impl<T: Float> Task<T> {
    fn draw(rng: &mut Rng) -> Self {
        let (height, phase) = (0.5 + 1.5 * rng.uniform(), std::f64::consts::PI * rng.uniform());
        let mut points = || {
            let x = Tensor::<T>::uniform([10, 1], -3.0, 3.0, rng);
            let y = (&x + phase).sin() * height;
            (x.into(), y.into())
        };
        Self { learn: points(), judge: points() }
    }

    fn loss(w: &[Var<T>], (x, y): &(Var<T>, Var<T>)) -> Var<T> {
        (network(w, x) - y).square().mean(..)
    }

    /// The weights after one step of gradient descent on this task: a function of those before.
    fn adapted(&self, w: &[Var<T>]) -> Vec<Var<T>> {
        let (_, gradient) = value_and_grad(|w: &Vec<Var<T>>| Self::loss(w, &self.learn), &w.to_vec());
        w.iter().zip(gradient).map(|(w, g)| w - g * 0.05).collect()
    }

    /// The loss after `n` such steps, which meta-learning minimises.
    fn loss_after(&self, n: usize, w: &[Var<T>]) -> Var<T> {
        let w = (0..n).fold(w.to_vec(), |w, _| self.adapted(&w));
        Self::loss(&w, &self.judge)
    }
}

/// Model-agnostic meta-learning (Finn, Abbeel and Levine 2017) differentiates through a step of training.
#[test]
fn the_gradient_through_a_training_step_agrees_with_finite_differences() {
    let rng = &mut Rng::seed(1);
    let (w, task) = (weights::<f64>(4, rng), Task::draw(rng));
    Checker::new().order(1).check_fn(|w| task.loss_after(2, w), &w).unwrap();
    // Without the second derivatives in it, it is another gradient.
    let exact = value_and_grad(|w: &Vec<Var<f64>>| task.loss_after(1, w), &w.iter().cloned().map(Var::constant).collect()).1;
    let moved: Vec<_> = w.into_iter().map(Var::constant).collect();
    let moved = task.adapted(&moved);
    let first_order = value_and_grad(|w: &Vec<Var<f64>>| Task::loss(w, &task.judge), &moved).1;
    let share = length((&exact[0] - &first_order[0]).value()) / length(exact[0].value());
    assert!(share > 0.05, "second derivatives are {share:.3} of it");
}

#[test]
fn meta_learning_finds_weights_from_which_few_steps_go_far() {
    let rng = &mut Rng::seed(2);
    let mut w: Vec<Param<f32>> = weights(32, rng).into_iter().map(Param::new).collect();
    let unseen: Vec<Task<f32>> = (0..50).map(|_| Task::draw(rng)).collect();
    let after = |w: &[Param<f32>], steps| {
        let w: Vec<_> = w.iter().map(|p| p.detach()).collect();
        unseen.iter().map(|task| f64::from(task.loss_after(steps, &w).item())).sum::<f64>() / unseen.len() as f64
    };
    let before = after(&w, 3);
    let mut opt = Adam::new(5e-3);
    for _ in 0..600 {
        let vars: Vec<Var> = w.iter().map(|p| Var::clone(p)).collect();
        let losses: Vec<Var> = (0..4).map(|_| Task::draw(rng).loss_after(3, &vars)).collect();
        let loss = Var::stack(&losses.iter().collect::<Vec<_>>(), 0).mean(..);
        opt.step(&mut w, loss.backward()).unwrap();
    }
    let (at_once, learned) = (after(&w, 0), after(&w, 3));
    println!(
        "after three steps: {before:.3} from random weights, {learned:.3} from meta-learned ones ({at_once:.3} without steps)"
    );
    assert!(learned < 0.35 * before && learned < 0.5 * at_once);
}

/// Rosenbrock's function in any number of dimensions: a curved valley with its lowest point at (1, .., 1).
fn rosenbrock(x: &Var<f64>) -> Var<f64> {
    let n = x.shape()[0];
    let (left, right) = (x.slice(0, ..n - 1), x.slice(0, 1..));
    ((right - left.square()).square() * 100.0 + (1.0 - left).square()).sum(..)
}

/// The step `p` with `H p = -g`, by conjugate gradients on Hessian products alone; up to where the curvature is negative.
fn newton_direction(x: &Var<f64>, g: &Tensor<f64>) -> Tensor<f64> {
    let product = |v: &Tensor<f64>| hvp(rosenbrock, x, &v.clone().into()).into_value();
    let (mut p, mut r) = (Tensor::zeros(g.shape().clone()), -g);
    let mut d = r.clone();
    for _ in 0..2 * g.numel() {
        let hd = product(&d);
        let (curvature, rr) = (d.dot(&hd).item(), r.dot(&r).item());
        if curvature <= 0.0 {
            return if length(&p) > 0.0 { p } else { d };
        }
        let alpha = rr / curvature;
        p = p + &d * alpha;
        r = r - hd * alpha;
        if length(&r) <= 1e-10 * length(g) {
            break;
        }
        d = &r + &d * (r.dot(&r).item() / rr);
    }
    p
}

/// Newton's method with halved steps until the function falls; the gradients' lengths on the way.
fn newton_cg(start: Vec<f64>) -> (Tensor<f64>, Vec<f64>) {
    let (mut x, mut lengths) = (Tensor::from(start), vec![]);
    for _ in 0..100 {
        let at = Var::constant(x.clone());
        let (value, g) = value_and_grad(rosenbrock, &at);
        lengths.push(length(g.value()));
        if lengths[lengths.len() - 1] < 1e-9 {
            break;
        }
        let p = newton_direction(&at, g.value());
        let slope = p.dot(g.value()).item();
        let falls = |t: &f64| rosenbrock(&Var::constant(&x + &p * *t)).item() <= value.item() + 1e-4 * t * slope;
        let t = (0..40).map(|k| 0.5f64.powi(k)).find(falls).expect("downhill");
        x = x + p * t;
    }
    (x, lengths)
}

#[test]
fn newtons_method_by_hessian_products_crosses_rosenbrocks_valley() {
    for (start, most) in [(vec![-1.2, 1.0], 25), (vec![0.5; 10], 25), (vec![1.3; 100], 25)] {
        let (x, lengths) = newton_cg(start);
        println!("{} dimensions: {} steps, gradient {:.1e} at the end", x.numel(), lengths.len() - 1, lengths[lengths.len() - 1]);
        assert!((x - 1.0).abs().lt(1e-8).all());
        assert!(lengths.len() <= most, "{} steps", lengths.len());
        // Near the end the correct digits double: each length is at most some constant times the last one's square.
        let [.., a, b, c] = lengths[..] else { panic!("three steps at least") };
        assert!(b < 1.0 && c / b.powi(2) < 100.0 * (b / a.powi(2)).max(1.0), "{a:.1e} {b:.1e} {c:.1e}");
    }
}

/// From the usual start, whole steps need no more than six: the heights on the way are those of Newton's method with an
/// exact Hessian, worked out by hand from its 2 x 2 system.
#[test]
fn whole_newton_steps_take_six() {
    let mut x = Tensor::from([-1.2, 1.0]);
    let (mut a, mut b) = (-1.2f64, 1.0f64);
    for _ in 0..6 {
        let at = Var::constant(x.clone());
        let g = grad_of(&at);
        x = x + newton_direction(&at, &g);
        let (ga, gb) = (-400.0 * a * (b - a * a) - 2.0 * (1.0 - a), 200.0 * (b - a * a));
        let (aa, ab, bb) = (1200.0 * a * a - 400.0 * b + 2.0, -400.0 * a, 200.0);
        let det = aa * bb - ab * ab;
        (a, b) = (a - (bb * ga - ab * gb) / det, b - (aa * gb - ab * ga) / det);
        assert!((x.at([0]) - a).abs() < 1e-6 && (x.at([1]) - b).abs() < 1e-6, "{x} where ({a}, {b}) is right");
    }
    assert!(rosenbrock(&Var::constant(x)).item() < 1e-15);
}

fn grad_of(at: &Var<f64>) -> Tensor<f64> {
    value_and_grad(rosenbrock, at).1.into_value()
}
