//! Every layer and every loss of this crate under the gradient checker, in evaluation and in training, at orders 1 and 2.

use gradus_autograd::Var;
use gradus_check::{Checker, Convention, Failure, LayerInput, check, check_layer, check_module};
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};
use std::any::type_name;
use std::collections::BTreeSet;
use std::path::Path;

/// A check of something public, under its type's name.
struct Entry {
    name: String,
    run: Box<dyn FnOnce() -> Result<(), Failure>>,
}

impl Entry {
    fn new<Of>(run: impl FnOnce() -> Result<(), Failure> + 'static) -> Self {
        let name = type_name::<Of>().split('<').next().unwrap_or_default();
        Self { name: name.rsplit("::").next().unwrap_or_default().into(), run: Box::new(run) }
    }
}

fn layer<L: Layer<f64> + 'static>(layer: L, input: impl LayerInput + 'static) -> Entry {
    Entry::new::<L>(move || check_layer(layer, input).map(drop))
}

/// A loss with respect to its output, under every reduction that `make` is called with.
fn loss<L: Loss<f64, Y> + 'static, Y: 'static>(x: &Tensor<f64>, target: Y, make: impl Fn(Reduction) -> L + 'static) -> Entry {
    let x = x.clone();
    Entry::new::<L>(move || {
        [Reduction::Mean, Reduction::Sum, Reduction::None].into_iter().try_for_each(|reduction| {
            let loss = make(reduction);
            check(|v| loss.loss(&v[0], &target), std::slice::from_ref(&x)).map(drop)
        })
    })
}

#[track_caller]
fn run(entries: Vec<Entry>) {
    for Entry { name, run } in entries {
        run().unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
}

fn rng() -> Rng {
    Rng::seed(5)
}

/// The layer with parameters that are not all 1 or 0.
fn scaled<L: Layer<f64>>(mut layer: L) -> L {
    layer.for_each_parameter(|_, p| p.set(Tensor::uniform(p.shape().clone(), 0.5, 2.0, &mut rng())));
    layer
}

fn dense_and_convolution() -> Vec<Entry> {
    let rng = &mut rng();
    let ids = Tensor::from([[2i64, 0], [2, 1]]);
    let embed = move |table: &Embedding<f64>, _: &[Var<f64>]| table.embed(&ids);
    let padded = embed.clone();
    let (table, with_padding) = (Embedding::new(4, 3, rng), Embedding::new(4, 3, rng).padding_index(0));
    vec![
        layer(Linear::new(3, 2, rng), [4, 3]),
        layer(Linear::new(3, 2, rng).bias(false), [2, 2, 3]),
        layer(Conv2d::new(2, 3, 3, rng), [2, 2, 4, 5]),
        layer(Conv2d::new(2, 2, [2, 3], rng).same().dilation([2, 1]), [1, 2, 4, 3]),
        layer(Conv2d::new(1, 2, 3, rng).stride(2).same().bias(false), [1, 1, 4, 5]),
        layer(Conv2d::grouped(2, 4, 2, 2, rng).padding([1, 0]).stride([1, 2]), [1, 2, 3, 4]),
        layer(Conv2d::new(1, 1, 2, rng).padded(Padding::Explicit([[0, 2], [1, 0]])), [1, 1, 3, 3]),
        layer(Conv1d::grouped(2, 4, 3, 2, rng).stride(2).padding(1), [2, 2, 5]),
        layer(Conv1d::new(1, 2, 2, rng).same().dilation(2), [1, 1, 4]),
        layer(Conv3d::new(2, 1, 2, rng), [1, 2, 2, 3, 2]),
        layer(Conv3d::grouped(2, 2, [2, 1, 2], 2, rng).stride([2, 1, 1]).dilation([1, 1, 2]).padding(1), [1, 2, 3, 1, 2]),
        layer(Conv3d::new(1, 1, [3, 2, 1], rng).same().stride([2, 1, 2]).bias(false), [1, 1, 4, 2, 2]),
        layer(ConvTranspose1d::new(2, 1, 3, rng).stride(2).padding(1).output_padding(1), [2, 2, 3]),
        layer(
            ConvTranspose2d::grouped(2, 2, [2, 3], 2, rng).stride([2, 1]).dilation([1, 2]).output_padding([1, 1]),
            [1, 2, 2, 2],
        ),
        layer(ConvTranspose2d::new(1, 2, 1, rng).stride(2).same().bias(false), [1, 1, 2, 2]),
        layer(ConvTranspose3d::new(2, 1, 2, rng).stride([2, 1, 2]).padding([1, 0, 1]).output_padding([1, 0, 0]), [1, 2, 2, 2, 2]),
        layer(SeparableConv2d::with_multiplier(2, 3, [2, 3], 2, rng).same().stride(2), [1, 2, 3, 3]),
        Entry::new::<Embedding>(move || check_module(table, [], embed).map(drop)),
        Entry::new::<Embedding>(move || {
            // No gradient reaches the padding's row, whatever differences say: so it is checked without that row's words.
            let failure = check_module(with_padding, [], padded).expect_err("the padding's row has no gradient on purpose");
            let all_in_row_0 = failure.report().failures().iter().all(|f| f.index.first() == Some(&0) && f.analytic == 0.0);
            if all_in_row_0 { Ok(()) } else { Err(failure) }
        }),
    ]
}

fn pooling() -> Vec<Entry> {
    let shape = [2, 2, 5, 4];
    vec![
        layer(MaxPool2d::new(2), shape),
        layer(MaxPool2d::new(3).stride(2).padding(1).ceil_mode(true), shape),
        layer(MaxPool2d::new([2, 1]).dilation([2, 1]).stride(1).same(), shape),
        layer(AvgPool2d::new(2), shape),
        layer(AvgPool2d::new(3).stride(2).same().count_include_pad(false), shape),
        layer(AdaptiveAvgPool2d::new([3, 2]), shape),
        layer(AdaptiveAvgPool2d::new([2, 3]), shape),
        layer(GlobalAvgPool2d, shape),
        layer(GlobalMaxPool2d, shape),
    ]
}

fn pooling_of_sequences_and_volumes() -> Vec<Entry> {
    let (line, volume) = ([2, 2, 5], [1, 2, 3, 4, 2]);
    vec![
        layer(MaxPool1d::new(3).stride(2).padding(1).ceil_mode(true), line),
        layer(MaxPool1d::new(2).dilation(2).stride(1).same(), line),
        layer(MaxPool3d::new(2), volume),
        layer(MaxPool3d::new([2, 3, 1]).stride([1, 2, 1]).padding([1, 1, 0]).dilation([1, 1, 2]), volume),
        layer(AvgPool1d::new(2).stride(3).ceil_mode(true), line),
        layer(AvgPool3d::new([2, 2, 1]).stride(1).padding([1, 0, 0]).count_include_pad(false), volume),
        layer(AvgPool3d::new(3).same().stride(2), volume),
        layer(AdaptiveAvgPool1d::new(3), line),
        layer(AdaptiveAvgPool3d::new([2, 4, 1]), volume),
        layer(AdaptiveAvgPool3d::new([3, 2, 1]), volume),
        layer(AdaptiveMaxPool1d::new(3), line),
        layer(AdaptiveMaxPool2d::new([3, 3]), [2, 1, 5, 4]),
        layer(AdaptiveMaxPool3d::new([2, 3, 1]), volume),
        layer(GlobalAvgPool1d, line),
        layer(GlobalAvgPool3d, volume),
        layer(GlobalMaxPool1d, line),
        layer(GlobalMaxPool3d, volume),
    ]
}

fn unpooling() -> Vec<Entry> {
    let of = |shape: &[usize]| Tensor::normal(shape, 0.0, 1.0, &mut rng());
    let (line, plane, volume) = (of(&[1, 2, 5]), of(&[2, 1, 3, 4]), of(&[1, 2, 2, 4, 2]));
    vec![
        Entry::new::<MaxUnpool1d>(move || {
            let (y, at) = MaxPool1d::new(2).stride(1).forward_with_indices(&Var::constant(line));
            check(|v| MaxUnpool1d::new(2).stride(1).forward(&v[0], &at), [y.into_value()]).map(drop)
        }),
        Entry::new::<MaxUnpool2d>(move || {
            let (y, at) = MaxPool2d::new([1, 2]).forward_with_indices(&Var::constant(plane));
            check(|v| MaxUnpool2d::new([1, 2]).forward_to(&v[0], &at, [3, 5]), [y.into_value()]).map(drop)
        }),
        Entry::new::<MaxUnpool3d>(move || {
            let (y, at) = MaxPool3d::new([1, 2, 2]).forward_with_indices(&Var::constant(volume));
            check(|v| MaxUnpool3d::new([1, 2, 2]).forward(&v[0], &at), [y.into_value()]).map(drop)
        }),
    ]
}

fn sizes_and_edges() -> Vec<Entry> {
    let (line, plane, volume) = ([2, 2, 4], [1, 2, 3, 4], [1, 1, 2, 3, 2]);
    vec![
        layer(Upsample::new(2.0), line),
        layer(Upsample::new(1.7).linear(false), plane),
        layer(Upsample::new(0.6).linear(false), plane),
        layer(Upsample::to([5, 2]).linear(true), plane),
        layer(Upsample::to([3, 2, 4]).linear(true), volume),
        layer(Upsample::to([1, 5, 3]), volume),
        layer(ZeroPad1d::new(1), line),
        layer(ZeroPad2d::sides([[0, 1], [2, 0]]), plane),
        layer(ZeroPad3d::new([1, 0, 2]), volume),
        layer(ReflectionPad1d::sides([[2, 3]]), line),
        layer(ReflectionPad2d::new([2, 1]), plane),
        layer(ReflectionPad3d::new(1), volume),
        layer(ReplicationPad1d::sides([[0, 5]]), line),
        layer(ReplicationPad2d::new(2), plane),
        layer(ReplicationPad3d::new([0, 1, 2]), volume),
        layer(CircularPad1d::sides([[4, 1]]), line),
        layer(CircularPad2d::new([1, 2]), plane),
        layer(CircularPad3d::new(1), volume),
    ]
}

fn normalisation() -> Vec<Entry> {
    vec![
        layer(scaled(BatchNorm1d::new(3)), [4, 3]),
        layer(scaled(BatchNorm1d::new(2)), [2, 2, 3]),
        layer(scaled(BatchNorm2d::new(2)), [2, 2, 2, 3]),
        layer(BatchNorm2d::new(2).affine(false).eps(0.1), [2, 2, 2, 2]),
        layer(scaled(BatchNorm2d::new(2)).frozen(true), [1, 2, 1, 2]),
        layer(scaled(LayerNorm::new([4])), [2, 3, 4]),
        layer(scaled(LayerNorm::new([3, 2])), [2, 3, 2]),
        layer(LayerNorm::new([3]).affine(false), [2, 3]),
        layer(scaled(BatchNorm3d::new(2)), [2, 2, 2, 1, 2]),
        layer(scaled(GroupNorm::new(2, 4)), [2, 4, 3]),
        layer(GroupNorm::new(1, 2).affine(false).eps(0.1), [2, 2, 1, 2]),
        layer(scaled(InstanceNorm1d::new(2).affine(true).track_running_stats(true)), [2, 2, 3]),
        layer(InstanceNorm2d::new(2).eps(0.1), [2, 2, 2, 2]),
        layer(scaled(InstanceNorm3d::new(2).affine(true)), [1, 2, 2, 1, 2]),
        layer(scaled(RmsNorm::new([3, 2])), [2, 3, 2]),
        layer(RmsNorm::new([3]).affine(false).eps(0.1), [2, 3]),
    ]
}

fn without_parameters() -> Vec<Entry> {
    let shape = [3, 4];
    let wide = || Tensor::uniform(shape, -5.0, 5.0, &mut rng());
    vec![
        layer(Relu, shape),
        layer(Relu6, Tensor::uniform(shape, -4.0, 10.0, &mut rng())),
        layer(Gelu, shape),
        layer(Silu, shape),
        layer(Sigmoid, shape),
        layer(Tanh, shape),
        layer(Softplus, shape),
        layer(LeakyRelu::default(), shape),
        layer(Elu { alpha: 1.5 }, shape),
        layer(Selu, shape),
        layer(Celu { alpha: 1.5 }, shape),
        layer(GeluTanh, shape),
        layer(Mish, shape),
        layer(Softsign, shape),
        layer(LogSigmoid, shape),
        layer(Hardsigmoid, wide()),
        layer(Hardswish, wide()),
        layer(Hardtanh::default(), shape),
        layer(Threshold { threshold: 0.3, value: 2.0 }, shape),
        layer(Softshrink::default(), shape),
        layer(Hardshrink::default(), shape),
        layer(Tanhshrink, shape),
        layer(PRelu::new(1), shape),
        layer(PRelu::new(2), [2, 2, 3]),
        layer(Glu(1), shape),
        layer(Softmin(-1), shape),
        layer(Softmax(1), shape),
        layer(LogSoftmax(0), shape),
        layer(Dropout::new(0.4), shape),
        layer(Dropout1d::new(0.4), [2, 3, 2]),
        layer(Dropout2d::new(0.4), [2, 3, 2, 2]),
        layer(Dropout3d::new(0.4), [2, 3, 2, 1, 2]),
        layer(Identity, shape),
        layer(Flatten, [2, 2, 3]),
        layer(Lambda(|x: &Var<f64>| x.square().sin()), shape),
    ]
}

fn networks() -> Vec<Entry> {
    let rng = &mut rng();
    let net = Sequential::new()
        .add(Conv2d::new(1, 2, 3, rng).same())
        .add(BatchNorm2d::new(2))
        .add(Tanh)
        .add(AvgPool2d::new(2))
        .add(Dropout::new(0.3))
        .add(Flatten)
        .push("head", Linear::new(8, 2, rng));
    let body = Sequential::new().add(Conv2d::new(2, 3, 3, rng).stride(2).padding(1)).add(Tanh);
    let inception = Concat::new().add(Conv2d::new(2, 1, 1, rng)).add(Identity).push("wide", Conv2d::new(2, 2, 3, rng).same());
    vec![
        layer(net, [2, 1, 4, 4]),
        layer(Residual::new(Sequential::new().add(Linear::new(3, 3, rng)).add(Tanh)), [2, 3]),
        layer(Residual::new(body).shortcut(Conv2d::new(2, 3, 1, rng).stride(2)), [1, 2, 3, 4]),
        layer(inception, [2, 2, 3, 2]),
        layer(SqueezeExcite::new(3, 2, rng).activation(Silu), [2, 3, 2, 2]),
        layer(Concat::new().axis(-1).add(Tanh).add(Linear::new(3, 2, rng)), [2, 3]),
        checkpointed(),
    ]
}

/// With respect to its input and to what its layer reads; as `functional_call` cannot lend parameters to a backward pass
/// that runs the layer again, these are variables here. That gradients of parameters are the layer's, bit for bit, is
/// tested on its own.
fn checkpointed() -> Entry {
    let inputs = [Tensor::normal([3, 2], 0.0, 1.0, &mut rng()), Tensor::normal([2, 2], 0.0, 1.0, &mut rng())];
    Entry::new::<Checkpoint<Identity>>(move || {
        let noisy = |v: &[Var<f64>]| {
            let w = v[1].clone();
            let product = Lambda(move |x: &Var<f64>| x.matmul(&w).tanh());
            let segment = Sequential::new().add(product).add(Dropout::new(0.3)).add(Tanh);
            Checkpoint::new(segment).forward(&v[0], &mut Mode::Train(&mut rng()))
        };
        check(noisy, inputs).map(drop)
    })
}

/// The penalties of weights and of outputs, as parts of a loss.
fn penalties() -> Vec<Entry> {
    let (mut rng, x) = (rng(), Tensor::normal([3, 2], 0.0, 1.0, &mut rng()));
    let net = ActivityPenalty::new(Linear::<f64>::new(2, 3, &mut rng), Penalty::l1_l2(0.3, 0.2));
    vec![Entry::new::<ActivityPenalty<Identity>>(move || {
        check_module(net, [x], |net, v| {
            let (y, activity) = collect_penalties(|| net.forward(&v[0], &mut Mode::Train(&mut Rng::seed(0))));
            let weights = Penalty::l2(0.5).on("weight").of(net) + Penalty::l1(0.25).of(net);
            y.square().sum(..) + activity.unwrap() + weights
        })
        .map(drop)
    })]
}

fn classification_losses() -> Vec<Entry> {
    let rng = &mut rng();
    let x = Tensor::normal([4, 3], 0.0, 1.5, rng);
    let labels = || Tensor::from([2i64, 0, -100, 1]);
    let ignoring = || CrossEntropy::new().ignore_index(-100);
    let all = move || ignoring().weight([0.5, 2.0, 1.5]).label_smoothing(0.2);
    let probabilities = Var::constant(x.flip(0)).softmax(1).into_value();
    let dense = Tensor::normal([2, 3, 2], 0.0, 1.0, rng);
    let steps = Tensor::normal([2, 4, 3], 0.0, 1.0, rng);
    vec![
        loss(&steps, vec![vec![2, 2], vec![]], |r| Ctc::new().reduction(r)),
        loss(&steps, vec![vec![0, 2], vec![2]], |r| Ctc::new().blank(1).reduction(r)),
        loss(&x, labels(), move |r| ignoring().reduction(r)),
        loss(&x, labels(), move |r| all().reduction(r)),
        loss(&x, labels(), |r| Nll::new().ignore_index(-100).weight([0.5, 2.0, 1.5]).reduction(r)),
        loss(&x, probabilities, move |r| all().reduction(r)),
        loss(&dense, Tensor::from([[2i64, 0], [1, 1]]), |r| CrossEntropy::new().reduction(r)),
    ]
}

fn other_losses() -> Vec<Entry> {
    let rng = &mut rng();
    let (x, t) = (Tensor::normal([3, 4], 0.0, 1.5, rng), Tensor::uniform([3, 4], 0.0, 1.0, rng));
    let probabilities = Tensor::uniform([3, 4], 0.2, 0.8, rng);
    let weighted = || BceWithLogits::new().pos_weight([2.0, 0.5, 1.0, 3.0]).weight([[0.5], [1.0], [2.0]]);
    vec![
        loss(&x, (t.clone(), Tensor::from([0.5, 0.0, 2.0])), |_| SampleWeighted::new(Mse::new().reduction(Reduction::None))),
        loss(&x, t.clone(), |r| BceWithLogits::new().reduction(r)),
        loss(&x, t.clone(), move |r| weighted().reduction(r)),
        loss(&probabilities, t.clone(), |r| Bce::new().reduction(r)),
        loss(&x, t.clone(), |r| Mse::new().reduction(r)),
        loss(&x, t.clone(), |r| L1::new().reduction(r)),
        loss(&x, t.clone(), |r| Huber::new(0.7).reduction(r)),
        loss(&x, t.clone(), |r| SmoothL1::new(0.7).reduction(r)),
        loss(&x, t.clone(), |r| KlDivergence::new().reduction(r)),
        loss(&x, t.clone(), |_| KlDivergence::new()),
        loss(&x, t, |r| KlDivergence::new().log_target().reduction(r)),
    ]
}

#[test]
fn dense_and_convolution_layers() {
    run(dense_and_convolution());
}

#[test]
fn pooling_layers() {
    run(pooling());
    run(pooling_of_sequences_and_volumes());
    run(unpooling());
}

#[test]
fn layers_that_change_sizes_and_edges() {
    run(sizes_and_edges());
}

#[test]
fn normalisation_layers() {
    run(normalisation());
}

#[test]
fn activations_and_other_layers_without_parameters() {
    run(without_parameters());
}

#[test]
fn a_whole_network() {
    run(networks());
    run(penalties());
}

#[test]
fn losses() {
    run(classification_losses());
    run(other_losses());
}

#[test]
fn losses_of_probabilities() {
    let rng = &mut rng();
    let (x, t) = (Tensor::normal([4, 3], 0.0, 1.5, rng), Tensor::uniform([4, 3], 0.0, 1.0, rng));
    let labels = Tensor::from([2i64, 0, -100, 1]);
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        let loss = CrossEntropy::from_probabilities().ignore_index(-100).weight([0.5, 2.0, 1.5]).reduction(reduction);
        for loss in [loss.clone(), loss.label_smoothing(0.2)] {
            check(|v| loss.loss(&v[0].softmax(1), &labels), std::slice::from_ref(&x)).unwrap();
            check(|v| loss.loss(&v[0].softmax(1), &t), std::slice::from_ref(&x)).unwrap();
        }
        let loss = Bce::new().pos_weight([2.0, 0.5, 1.0]).reduction(reduction);
        check(|v| loss.loss(&v[0].sigmoid(), &t), std::slice::from_ref(&x)).unwrap();
    }
}

#[test]
fn targets_may_be_variables() {
    let rng = &mut rng();
    let pair = [Tensor::normal([3, 2], 0.0, 1.0, rng), Tensor::normal([3, 2], 0.0, 1.0, rng)];
    check(|v| Mse::new().loss(&v[0], &v[1]), &pair).unwrap();
    check(|v| L1::new().loss(&v[0], &v[1]), &pair).unwrap();
    check(|v| Huber::new(0.5).loss(&v[0], &v[1]), &pair).unwrap();
    check(|v| SmoothL1::new(0.5).loss(&v[0], &v[1]), &pair).unwrap();
}

/// Where a loss has a kink, its gradient is the mean of both slopes, as that of the absolute value.
#[test]
fn losses_at_their_kinks() {
    let x = || [Tensor::from([0.5, -1.0, 2.0])];
    let t = Tensor::from([0.5, -1.0, 1.0]);
    let report = Checker::new().convention(Convention::Mean).check_fn(|v| v[0].l1(&t), x()).unwrap();
    assert_eq!(report.coverage(1).unwrap().kinks, 2);
}

/// The public types of `folder/mod.rs`, and the types that `what` is implemented for anywhere.
fn in_source(folder: &str, what: &str) -> BTreeSet<String> {
    fn visit(path: &Path, see: &mut impl FnMut(&str)) {
        if path.is_dir() {
            std::fs::read_dir(path).unwrap().for_each(|entry| visit(&entry.unwrap().path(), see));
        } else {
            std::fs::read_to_string(path).unwrap().lines().for_each(see);
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names = BTreeSet::new();
    visit(&src.join(folder).join("mod.rs"), &mut |line| {
        let exported = line.strip_prefix("pub use ").and_then(|line| line.split_once("::")).map_or("", |(_, names)| names);
        let words = exported.split(|c: char| !c.is_alphanumeric() && c != '_');
        names.extend(words.filter(|w| w.starts_with(char::is_uppercase)).map(String::from));
    });
    visit(&src, &mut |line| {
        let implementation = line.trim_start().strip_prefix("impl").and_then(|line| line.split_once(" for "));
        if let Some((_, name)) = implementation.filter(|(head, _)| head.contains(&format!(" {what}<"))) {
            names.extend(name.split(|c: char| !c.is_alphanumeric()).next().filter(|n| !n.is_empty()).map(String::from));
        }
    });
    names
}

fn assert_all(found: BTreeSet<String>, at_least: usize, others: &[&str], entries: Vec<Vec<Entry>>) {
    assert!(found.len() >= at_least && others.iter().all(|o| found.contains(*o)), "the sources are read wrongly: {found:?}");
    let checked: BTreeSet<String> = entries.into_iter().flatten().map(|e| e.name).collect();
    let missing: Vec<&String> = found.iter().filter(|n| !checked.contains(*n) && !others.contains(&n.as_str())).collect();
    assert!(missing.is_empty(), "public and without a gradient check in this file: {missing:?}");
}

fn recurrent() -> Vec<Entry> {
    let rng = &mut rng();
    let reset = |layer: &Stateful<Recurrent<Gru<f64>>, f64>, v: &[Var<f64>]| {
        layer.reset_state();
        layer.forward(&v[0], &mut Mode::Eval)
    };
    let (gru, steps) = (Recurrent::new(Gru::new(2, 3, rng)), Tensor::normal([2, 2, 2], 0.0, 1.0, rng));
    let stateful: Stateful<_, f64> = Stateful::new(gru);
    vec![
        layer(Recurrent::new(Rnn::new(2, 3, rng)), [2, 3, 2]),
        layer(Recurrent::new(Lstm::new(2, 3, rng)).reversed().unrolled(), [2, 3, 2]),
        layer(Recurrent::new(Gru::new(2, 3, rng)).dropout(0.3).recurrent_dropout(0.3), [2, 3, 2]),
        layer(Recurrent::new(Lstm::new(2, 3, rng).peephole()).recurrent_dropout(0.3), [2, 3, 2]),
        layer(Bidirectional::new(Gru::new(2, 3, rng), Gru::new(2, 3, rng)), [2, 3, 2]),
        layer(Bidirectional::new(Rnn::new(2, 3, rng), Rnn::new(2, 3, rng)).merge(Merge::Mul), [2, 3, 2]),
        layer(Bidirectional::new(Rnn::new(2, 3, rng), Rnn::new(2, 3, rng)).merge(Merge::Average), [2, 3, 2]),
        layer(Stacked::new([2, 3].map(|n| Recurrent::new(Gru::new(n, 3, rng)))).dropout(0.3).residual(), [2, 3, 2]),
        layer(HiddenRecurrence::rnn(2, 3, 2, rng), [2, 3, 2]),
        layer(SequenceToOne::rnn(2, 3, 2, rng), [2, 3, 2]),
        layer(
            SequenceToOne::new(Bidirectional::new(Gru::new(2, 3, rng), Gru::new(2, 3, rng)), Linear::new(6, 2, rng)),
            [2, 3, 2],
        ),
        layer(MultiHeadAttention::new(4, 2, rng), [2, 3, 4]),
        layer(MultiHeadAttention::new(4, 1, rng).causal().dropout(0.3), [2, 3, 4]),
        layer(TimeDistributed::new(Conv1d::new(2, 1, 2, rng)), [2, 2, 2, 3]),
        Entry::new::<Stateful<Recurrent<Gru>>>(move || check_module(stateful, [steps], reset).map(drop)),
    ]
}

#[test]
fn recurrent_layers() {
    run(recurrent());
}

#[test]
fn no_layer_is_missing() {
    let pooling = [pooling(), pooling_of_sequences_and_volumes(), unpooling(), sizes_and_edges()];
    let entries =
        pooling.into_iter().chain([dense_and_convolution(), normalisation(), without_parameters(), networks(), penalties()]);
    // Options, and a box of any layer.
    assert_all(in_source("layers", "Layer"), 95, &["Padding", "PerAxis", "Box"], entries.chain([recurrent()]).collect());
}

#[test]
fn no_loss_is_missing() {
    assert_all(in_source("losses", "Loss"), 8, &[], vec![classification_losses(), other_losses()]);
}
