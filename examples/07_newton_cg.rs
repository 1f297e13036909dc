//! Second derivatives at work: through Rosenbrock's valley by Newton's method, which never sees a Hessian, only its
//! products; beside it Gauss-Newton, Adam and gradient descent.
//!
//! `cargo run --release --example 07_newton_cg`

use gradus::autograd::{gauss_newton_product, hvp};
use gradus::optim::{OptimError, UpdateRule};
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, save_charts};

const START: [f64; 2] = [-1.2, 1.0];

/// The residuals whose squares are summed: 10 (y - x²) and 1 - x.
fn residuals(p: &Var<f64>) -> Var<f64> {
    let (x, y) = (p.slice(0, ..1), p.slice(0, 1..));
    Var::concat(&[&((y - x.square()) * 10.0), &(1.0 - x)], 0)
}

/// Rosenbrock's function, 100 (y - x²)² + (1 - x)²: a curved valley whose floor falls slowly to (1, 1).
fn rosenbrock(p: &Var<f64>) -> Var<f64> {
    residuals(p).square().sum(..)
}

fn length(v: &Tensor<f64>) -> f64 {
    v.dot(v).item().sqrt()
}

/// The step `p` with `A p = -g`, by conjugate gradients on products with `A` alone; as far as `A` curves upwards.
fn conjugate_gradients(product: impl Fn(&Var<f64>) -> Var<f64>, g: &Tensor<f64>) -> Tensor<f64> {
    let (mut p, mut r) = (Tensor::zeros(g.shape().clone()), -g);
    let mut d = r.clone();
    for _ in 0..2 * g.numel() {
        let along = product(&Var::constant(d.clone())).into_value();
        let (curvature, rr) = (d.dot(&along).item(), r.dot(&r).item());
        if curvature <= 0.0 {
            return if length(&p) > 0.0 { p } else { d };
        }
        p = p + &d * (rr / curvature);
        r = r - along * (rr / curvature);
        if length(&r) <= 1e-10 * length(g) {
            break;
        }
        d = &r + d * (r.dot(&r).item() / rr);
    }
    p
}

type Path = Vec<(f64, f64)>;

/// Steps along `direction`, until the gradient is gone: whole ones, or halved until the function falls.
fn descend(name: &str, halved: bool, direction: impl Fn(&Var<f64>, &Tensor<f64>) -> Tensor<f64>) -> Path {
    let mut x = Tensor::from(START);
    let mut path = vec![(START[0], START[1])];
    println!("{name}\n  step  {:>10} {:>10} {:>12} {:>12}", "x", "y", "height", "gradient");
    for step in 0..100 {
        let at = Var::constant(x.clone());
        let (height, g) = value_and_grad(rosenbrock, &at);
        let g = g.into_value();
        println!("  {step:4}  {:10.6} {:10.6} {:12.4e} {:12.4e}", x.at([0]), x.at([1]), height.item(), length(&g));
        if length(&g) < 1e-9 {
            println!();
            break;
        }
        let p = direction(&at, &g);
        let slope = p.dot(&g).item();
        let falls = |t: &f64| rosenbrock(&Var::constant(&x + &p * *t)).item() <= height.item() + 1e-4 * t * slope;
        let t = if halved { (0..40).map(|k| 0.5f64.powi(k)).find(falls) } else { Some(1.0) };
        let Some(t) = t else { break };
        x = x + p * t;
        path.push((x.at([0]), x.at([1])));
    }
    path
}

/// A thousand steps of an optimiser that sees gradients only.
fn thousand<R: UpdateRule<f64>>(mut opt: Optimizer<R, f64>) -> Result<Path, OptimError> {
    let mut point = Param::new(Tensor::from(START));
    let mut path = vec![(START[0], START[1])];
    for _ in 0..1000 {
        let loss = rosenbrock(&point);
        opt.step(&mut point, loss.backward())?;
        path.push((point.value().at([0]), point.value().at([1])));
    }
    Ok(path)
}

fn height(p: (f64, f64)) -> f64 {
    100.0 * (p.1 - p.0 * p.0).powi(2) + (1.0 - p.0).powi(2)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let by_hessian = |x: &Var<f64>, g: &Tensor<f64>| conjugate_gradients(|v| hvp(rosenbrock, x, v), g);
    let whole = descend("Newton-CG, by Hessian products, whole steps", false, by_hessian);
    let newton = descend("Newton-CG, steps halved until the function falls", true, by_hessian);
    let gauss_newton = descend("Gauss-Newton, by Jᵀ J products", true, |x, g| {
        conjugate_gradients(|v| gauss_newton_product(residuals, |r| r.square().sum(..), x, v), g)
    });

    println!("{:<22} {:>6} {:>10} {:>10} {:>12}", "", "steps", "x", "y", "height");
    let (adam, sgd) = (thousand(Adam::new(0.02))?, thousand(Sgd::new(1e-3))?);
    let paths = [
        ("Newton-CG, whole steps", whole),
        ("Newton-CG, halved", newton),
        ("Gauss-Newton", gauss_newton),
        ("Adam, lr 0.02", adam),
        ("SGD, lr 0.001", sgd),
    ];
    for (name, path) in &paths {
        let end = path[path.len() - 1];
        println!("{name:<22} {:>6} {:10.6} {:10.6} {:12.4e}", path.len() - 1, end.0, end.1, height(end));
    }
    assert!(paths[..3].iter().all(|(_, path)| height(path[path.len() - 1]) < 1e-18 && path.len() < 30));

    let valley = |title: &str| {
        let chart = Chart::new(title, "x", "y").range((-1.6, 1.6), (-3.4, 2.0));
        chart.contour(|x, y| height((x, y)))
    };
    let alone = |i: usize| {
        let (name, path) = &paths[i];
        valley(&format!("{name}: {} steps", path.len() - 1)).series(Series::new("", path.clone()).with_points())
    };
    let line = |i: usize| Series::new(paths[i].0, paths[i].1.clone());
    let slow = valley("a thousand steps by the gradient alone").series(line(3)).series(line(4));
    let heights = |(name, path): &(&str, Path)| {
        let falls = path.iter().take(60).enumerate().map(|(i, &p)| (i as f64, height(p).max(1e-30).log10()));
        Series::new(*name, falls.collect())
    };
    let race =
        paths.iter().fold(Chart::new("how far down after each step", "step", "log10 of the height"), |c, p| c.series(heights(p)));
    std::fs::create_dir_all("target/newton_cg")?;
    save_charts("target/newton_cg/rosenbrock.png", &[alone(0), alone(1), alone(2), slow, race])?;
    println!("wrote target/newton_cg/rosenbrock.png");
    Ok(())
}
