//! The same bits on any number of threads: kernels split work by its shape alone.

use crate::common::{bits, cotangent, each_case, gradients, run};
use gradus_autograd::Var;
use gradus_tensor::{Conv2dOptions, Float, Pool2dOptions, Rng, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Pools of 1, 2, 3 and 8 threads.
fn pools() -> Vec<ThreadPool> {
    [1, 2, 3, 8].map(|n| ThreadPoolBuilder::new().num_threads(n).build().unwrap()).into()
}

#[test]
fn every_op_gives_the_same_bits_on_1_2_3_and_8_threads() {
    let pools = pools();
    each_case::<f32>(3, |sample, seed, case| {
        let on_this_thread = bits(&run(&case, seed));
        for pool in &pools {
            // The closures of a case cannot be sent to another thread: it is drawn there once more.
            let (name, draw) = (sample.name, sample.case);
            let found = pool.install(|| bits(&run(&draw(&mut Rng::seed(seed)), seed)));
            assert_eq!(found, on_this_thread, "`{name}`, case {seed}, on {} threads", pool.current_num_threads());
        }
    });
}

pub type Call<T> = fn(&[Var<T>]) -> Var<T>;
/// A name, the operands' shapes, the call.
type LargeCall<T> = (&'static str, Vec<Vec<usize>>, Call<T>);

/// Calls so large that their kernels split: they do from 2¹⁶ elements or 2¹⁸ multiply-adds on.
pub fn large_calls<T: Float>() -> Vec<LargeCall<T>> {
    let odd = || vec![vec![3, 401, 127]];
    let long = || vec![vec![300_001]];
    let conv: Call<T> = |v| v[0].conv2d(&v[1], Conv2dOptions::default().padding([[1, 1], [1, 1]]));
    vec![
        ("gelu", odd(), |v| v[0].gelu()),
        ("gelu of a transpose", odd(), |v| v[0].transpose(0, 2).gelu()),
        ("gelu of every second", odd(), |v| v[0].slice_step(1, .., 2).gelu()),
        ("mul, broadcast", vec![vec![3, 401, 127], vec![401, 1]], |v| &v[0] * &v[1]),
        ("mul by a scalar variable", vec![vec![3, 401, 127], vec![]], |v| &v[0] * &v[1]),
        ("where", vec![vec![401, 307], vec![401, 307]], |v| v[0].where_(&v[0].value().gt(0.0), &v[1])),
        ("sum of all", long(), |v| v[0].sum(..)),
        ("sum of rows", odd(), |v| v[0].sum(-1)),
        ("sum of columns", odd(), |v| v[0].sum(0)),
        ("sum of the middle", odd(), |v| v[0].sum(1)),
        ("sum of few long columns", vec![vec![70_001, 3]], |v| v[0].sum(0)),
        ("variance", odd(), |v| v[0].var([0, 2], 1)),
        ("max", odd(), |v| v[0].max(1)),
        ("prod", vec![vec![1000, 101]], |v| v[0].prod(1)),
        ("norm", long(), |v| v[0].norm(..)),
        ("cumsum", odd(), |v| v[0].cumsum(1)),
        ("sort", odd(), |v| v[0].sort(1, false).0),
        ("topk", odd(), |v| v[0].topk(5, -1).0),
        ("softmax", odd(), |v| v[0].softmax(-1)),
        ("softmax of the middle", odd(), |v| v[0].softmax(1)),
        ("log_softmax", vec![vec![1200, 101]], |v| v[0].log_softmax(-1)),
        ("logsumexp of all", long(), |v| v[0].logsumexp(..)),
        ("matmul", vec![vec![130, 97], vec![97, 151]], |v| v[0].matmul(&v[1])),
        ("matmul, long sums", vec![vec![5, 20_001], vec![20_001, 7]], |v| v[0].matmul(&v[1])),
        ("matmul by a vector", vec![vec![601, 303], vec![303]], |v| v[0].matmul(&v[1])),
        ("matmul, a row by a tall matrix", vec![vec![1, 3001], vec![3001, 67]], |v| v[0].matmul(&v[1])),
        ("matmul, batches", vec![vec![11, 1, 33, 40], vec![3, 40, 31]], |v| v[0].matmul(&v[1])),
        ("linear", vec![vec![7, 50, 60], vec![30, 60]], |v| v[0].linear(&v[1], None)),
        ("einsum", vec![vec![40, 50], vec![50, 60], vec![60, 20]], |v| Var::einsum("ij,jk,kl->il", &[&v[0], &v[1], &v[2]])),
        ("conv2d", vec![vec![5, 4, 21, 19], vec![6, 4, 3, 3]], conv),
        ("conv2d of one picture", vec![vec![1, 8, 41, 39], vec![16, 8, 3, 3]], conv),
        ("conv2d, pointwise", vec![vec![3, 32, 20, 20], vec![16, 32, 1, 1]], |v| v[0].conv2d(&v[1], Conv2dOptions::default())),
        ("conv2d, depthwise", vec![vec![3, 16, 33, 31], vec![16, 1, 3, 3]], |v| {
            v[0].conv2d(&v[1], Conv2dOptions::default().groups(16).stride([2, 1]))
        }),
        ("max_pool2d", vec![vec![5, 16, 33, 35]], |v| v[0].max_pool2d(Pool2dOptions::new(3).stride([2, 2]))),
        ("avg_pool2d", vec![vec![5, 16, 33, 35]], |v| v[0].avg_pool2d(Pool2dOptions::new(2))),
        ("index_select", vec![vec![801, 101]], |v| v[0].index_select(0, &Tensor::randint([900], 0, 801, &mut Rng::seed(1)))),
        ("gather", vec![vec![401, 301]], |v| v[0].gather(1, &Tensor::randint([401, 200], 0, 301, &mut Rng::seed(2)))),
        ("concat", vec![vec![301, 200], vec![301, 113]], |v| Var::concat(&[&v[0], &v[1], &v[0]], 1)),
        ("sum_to", vec![vec![9, 101, 103]], |v| v[0].sum_to([101, 1])),
        ("permute and copy", odd(), |v| v[0].permute([2, 0, 1]).reshape([-1])),
    ]
}

pub fn run_large<T: Float>(shapes: &[Vec<usize>], call: Call<T>) -> Vec<Vec<u64>> {
    let mut rng = Rng::seed(7);
    let xs = shapes.iter().map(|s| Var::leaf(Tensor::uniform(s.clone(), -1.0, 1.0, &mut rng)));
    let xs: Vec<Var<T>> = xs.collect();
    let y = call(&xs);
    let grads = gradients(&y, &cotangent(&y, 3), &xs);
    bits(&[y.into_value()].into_iter().chain(grads).collect::<Vec<_>>())
}

fn large_calls_agree<T: Float>() {
    let pools = pools();
    for (name, shapes, call) in large_calls::<T>() {
        let expected = pools[0].install(|| run_large(&shapes, call));
        for pool in &pools[1..] {
            let found = pool.install(|| run_large(&shapes, call));
            assert!(found == expected, "{name} of {shapes:?} gives other bits on {} threads", pool.current_num_threads());
        }
    }
}

#[test]
fn large_calls_give_the_same_bits_in_f32() {
    large_calls_agree::<f32>();
}

#[test]
fn large_calls_give_the_same_bits_in_f64() {
    large_calls_agree::<f64>();
}
