//! Attention, sequence to sequence, layers at each step, and alignments nobody gave.

use gradus_autograd::Var;
use gradus_check::{check, check_module};
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;

fn near(a: &Tensor<f64>, b: &Tensor<f64>) -> bool {
    a.shape() == b.shape() && (a - b).abs().to_vec().iter().all(|d| *d < 1e-12)
}

fn normal(shape: impl Into<gradus_tensor::Shape>, rng: &mut Rng) -> Tensor<f64> {
    Tensor::normal(shape, 0.0, 1.0, rng)
}

/// `x` with NaN at the steps of `[N, T, d]` that are padding.
fn with_nan(x: &Tensor<f64>, lengths: &[usize]) -> Tensor<f64> {
    Tensor::from_fn(x.shape().clone(), |at| if at[1] < lengths[at[0]] { x.at([at[0], at[1], at[2]]) } else { f64::NAN })
}

/// What each query reads, in plain loops, from the score of a query and a key.
fn naive(q: &Tensor<f64>, m: &Tensor<f64>, lengths: &[usize], score: impl Fn(&[f64], &[f64]) -> f64) -> Tensor<f64> {
    let [batch, queries, width] = [q.shape()[0], q.shape()[1], m.shape()[2]];
    let row = |x: &Tensor<f64>, n: usize, t: usize| x.select(0, n).select(0, t).to_vec();
    let mut all = Vec::new();
    for (n, &length) in lengths.iter().enumerate().take(batch) {
        for i in 0..queries {
            let powers: Vec<f64> = (0..length).map(|t| score(&row(q, n, i), &row(m, n, t)).exp()).collect();
            let total: f64 = powers.iter().sum();
            let mut read = vec![0.0; width];
            for (t, power) in powers.iter().enumerate() {
                read.iter_mut().zip(row(m, n, t)).for_each(|(r, v)| *r += power / total * v);
            }
            all.extend(read);
        }
    }
    Tensor::from_vec(all, [batch, queries, width])
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn times(m: &Tensor<f64>, x: &[f64]) -> Vec<f64> {
    m.matmul(&Tensor::from_vec(x.to_vec(), [x.len()])).to_vec()
}

fn batches() -> impl Strategy<Value = (Vec<usize>, usize, u64)> {
    (prop::collection::vec(1usize..5, 1..4), 1usize..4, any::<u64>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn attention_is_its_formula((lengths, queries, seed) in batches()) {
        let rng = &mut Rng::seed(seed);
        let steps = lengths.iter().max().unwrap() + 1;
        let (q, m) = (normal([lengths.len(), queries, 3], rng), normal([lengths.len(), steps, 3], rng));
        let memory = Sequence::new(with_nan(&m, &lengths)).with_lengths(&lengths);
        let read = |a: &dyn Attention<f64>| a.attend(&Var::constant(q.clone()), &memory).0.into_value();
        prop_assert!(near(&read(&DotAttention::new()), &naive(&q, &m, &lengths, dot)));
        prop_assert!(near(&read(&DotAttention::new().scaled()), &naive(&q, &m, &lengths, |q, k| dot(q, k) / 3f64.sqrt())));
        let bilinear = BilinearAttention::new(3, 3, rng);
        prop_assert!(near(&read(&bilinear), &naive(&q, &m, &lengths, |q, k| dot(q, &times(bilinear.key.weight.value(), k)))));
        let additive = AdditiveAttention::new(3, 3, 4, rng);
        let score = |q: &[f64], k: &[f64]| {
            let (a, b) = (times(additive.query.weight.value(), q), times(additive.key.weight.value(), k));
            let bias = additive.query.bias.as_ref().unwrap().value().to_vec();
            let hidden: Vec<f64> = (0..4).map(|i| (a[i] + b[i] + bias[i]).tanh()).collect();
            dot(&hidden, &additive.score.weight.value().to_vec())
        };
        prop_assert!(near(&read(&additive), &naive(&q, &m, &lengths, score)));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn attention_has_the_right_gradients((lengths, queries, seed) in batches()) {
        let rng = &mut Rng::seed(seed);
        let steps = *lengths.iter().max().unwrap();
        let inputs = [normal([lengths.len(), queries, 2], rng), normal([lengths.len(), steps, 3], rng)];
        fn attend<A: Attention<f64>>(a: &A, v: &[Var<f64>], lengths: &[usize]) -> Var<f64> {
            let (read, weights) = a.attend(&v[0], &Sequence::new(&v[1]).with_lengths(lengths));
            Var::concat(&[&read, &weights], -1)
        }
        check_module(AdditiveAttention::new(2, 3, 2, rng), inputs.clone(), |a, v| attend(a, v, &lengths)).unwrap();
        check_module(BilinearAttention::new(2, 3, rng), inputs.clone(), |a, v| attend(a, v, &lengths)).unwrap();
        let same = [inputs[0].clone(), inputs[1].slice(2, ..2)];
        check_module(DotAttention::new().scaled(), same, |a, v| attend(a, v, &lengths)).unwrap();
        let heads = MultiHeadAttention::with_widths(4, 2, 3, 2, rng).dropout(0.3);
        let mask = Tensor::bernoulli([steps, steps], 0.6, rng);
        let three = [2, 3, 4].map(|width| normal([lengths.len(), steps, width], rng));
        check_module(heads, three, |heads, v| {
            let with_lengths = |x: &Var<f64>| Sequence::new(x).with_lengths(&lengths);
            let [k, values, q] = [0, 1, 2].map(|i| with_lengths(&v[i]));
            heads.attend(&q, &k, &values, Some(&mask), &mut Mode::Train(&mut Rng::seed(1))).0.data()
        }).unwrap();
    }
}

#[test]
fn causal_attention_sees_no_later_step() {
    let rng = &mut Rng::seed(0);
    let attention = MultiHeadAttention::new(4, 2, rng).causal();
    let x = normal([2, 5, 4], rng);
    let other = Tensor::from_fn([2, 5, 4], |at| if at[1] < 3 { x.at([at[0], at[1], at[2]]) } else { 7.0 });
    let [y, z] = [x, other].map(|x| attention.forward(&x.into(), &mut Mode::Eval).into_value().slice(1, ..3));
    assert_eq!(y.to_vec(), z.to_vec());
}

#[test]
#[should_panic(expected = "3 heads of a width of 8; wanted a divisor")]
fn heads_that_do_not_divide_the_width_are_refused() {
    MultiHeadAttention::<f32>::new(8, 3, &mut Rng::seed(0));
}

#[test]
#[should_panic(expected = "mask [2, 3]; wanted [3, 3] or [1, 3, 3]")]
fn a_mask_of_another_shape_is_refused() {
    let x = Sequence::new(Tensor::<f32>::zeros([1, 3, 4]));
    MultiHeadAttention::new(4, 2, &mut Rng::seed(0)).attend(&x, &x, &x, Some(&Tensor::full([2, 3], true)), &mut Mode::Eval);
}

#[test]
#[should_panic(expected = "queries [3, 1, 2] and a memory of steps [4, 2, 2]; wanted [N, Q, d] and [S, N, m]")]
fn a_memory_of_another_batch_is_refused() {
    let memory = Sequence::new(Tensor::<f32>::zeros([2, 4, 2]));
    DotAttention::new().attend(&Var::constant(Tensor::zeros([3, 1, 2])), &memory);
}

#[test]
fn a_layer_at_each_step_is_the_layer_of_each_step() {
    let rng = &mut Rng::seed(0);
    let conv = Conv1d::<f64>::new(2, 3, 2, rng);
    let x = normal([2, 4, 2, 5], rng);
    let frames = TimeDistributed::new(conv.clone());
    let y = frames.forward(&(&x).into(), &mut Mode::Eval);
    for t in 0..4 {
        let alone = conv.forward(&x.select(1, t).into(), &mut Mode::Eval);
        assert!(near(&y.value().select(1, t), alone.value()));
    }
}

#[test]
fn a_layer_at_each_step_never_sees_padding() {
    let (rng, lengths) = (&mut Rng::seed(0), [3, 1]);
    let x = normal([2, 3, 4], rng);
    let there = Tensor::concat(&[&x.select(0, 0), &x.select(0, 1).slice(0, ..1)], 0);
    let (over_steps, alone) = (TimeDistributed::new(BatchNorm1d::new(4)), BatchNorm1d::new(4));
    let leaf = Var::leaf(with_nan(&x, &lengths));
    let y = over_steps.over(&Sequence::new(&leaf).with_lengths(&lengths), &mut Mode::Train(rng));
    let expected = alone.forward(&there.into(), &mut Mode::Train(rng)).into_value();
    let y = y.data();
    assert!(near(&y.value().select(0, 0), &expected.slice(0, ..3)));
    assert!(near(&y.value().select(0, 1).slice(0, ..1), &expected.slice(0, 3..)));
    assert_eq!(y.value().select(0, 1).slice(0, 1..).abs().sum(..).item(), 0.0);
    let g = y.square().sum(..).backward()[&leaf].clone();
    assert_eq!(g.select(0, 1).slice(0, 1..).abs().sum(..).item(), 0.0);
    for (path, statistic) in over_steps.state_dict() {
        assert!(near(&statistic, &alone.state_dict()[path.strip_prefix("layer.").unwrap()]), "{path}");
    }
}

#[test]
#[should_panic(expected = "expected outputs [6, ..], one a step, got [2, 3]")]
fn a_layer_that_merges_steps_is_refused() {
    let merging = Lambda(|x: &Var<f32>| x.reshape([2, 3, 4]).sum(2));
    TimeDistributed::new(merging).forward(&Tensor::zeros([2, 3, 4]).into(), &mut Mode::Eval);
}

const START: usize = 4;
type Net<A> = EncoderDecoder<Recurrent<Gru<f64>>, Recurrent<Gru<f64>>, A, f64>;

/// Vectors of 2 numbers in, 5 tokens out.
fn net<A: Attention<f64>>(attention: A, rng: &mut Rng) -> Net<A> {
    let [encoder, recurrent] = [2, 3].map(|n| Recurrent::new(Gru::new(n, 3, rng)));
    EncoderDecoder::new(encoder, decoder(recurrent, attention, 6, rng))
}

fn decoder<D: RecurrentLayer<f64>, A: Attention<f64>>(
    recurrent: D,
    attention: A,
    combined: usize,
    rng: &mut Rng,
) -> Decoder<D, A, f64> {
    let (combine, head) = (Linear::new(combined, 3, rng), Linear::new(3, 5, rng));
    Decoder::new(Embedding::new(5, 3, rng), recurrent, attention, combine, head, START)
}

fn source(rng: &mut Rng) -> Tensor<f64> {
    normal([3, 4, 2], rng)
}

#[test]
fn teacher_forcing_is_reading_targets_step_by_step() {
    let rng = &mut Rng::seed(0);
    let (net, x) = (net(DotAttention::new(), rng), source(rng));
    let targets = Tensor::randint([3, 4], 0, 5, rng);
    let source = Sequence::new(&x).with_lengths(&[4, 2, 3]);
    let forced = net.teacher_forced(&source, &targets, &mut Mode::Eval);
    let mut at = net.encode(&source, &mut Mode::Eval);
    for t in 0..4 {
        let token = if t == 0 { Tensor::full([3, 1], START as i64) } else { targets.slice(1, t - 1..t) };
        let (said, next) = net.decoder().decode(&token, &at, &mut Mode::Eval);
        assert!(near(&said.logits.steps().value().select(0, 0), &forced.logits.steps().value().select(0, t)));
        assert!(near(&said.weights.value().select(1, 0), &forced.weights.value().select(1, t)));
        at = next;
    }
    // Always forced, whatever is drawn.
    let scheduled = net.scheduled(&source, &targets, TeacherForcing::Probability(1.0), 0, rng);
    assert!(near(scheduled.logits.data().value(), forced.logits.data().value()));
    // Almost always: the loop, with no token drawn.
    let scheduled = net.scheduled(&source, &targets, TeacherForcing::Probability(1.0 - 1e-15), 0, rng);
    assert!(near(scheduled.logits.data().value(), forced.logits.data().value()));
}

#[test]
fn running_freely_is_reading_what_was_said() {
    let rng = &mut Rng::seed(1);
    let (net, x) = (net(AdditiveAttention::new(3, 3, 4, rng), rng), source(rng));
    let source = Sequence::new(&x);
    let (said, decoded) = net.free_running(&source, 5, Sampler::greedy(), rng);
    assert_eq!(decoded.logits.data().value().argmax(2), said);
    let told = net.teacher_forced(&source, &said, &mut Mode::Eval);
    assert!(near(told.logits.data().value(), decoded.logits.data().value()));
    let loss = |logits: &Sequence<f64>| logits.cross_entropy(&said);
    assert!(net.forcing_gap(&source, &said, loss).gap().abs() < 1e-12);
    // With no teacher, what is drawn depends on the seed, and on nothing else.
    let never = |seed| net.scheduled(&source, &said, TeacherForcing::Never, 0, &mut Rng::seed(seed)).logits.data();
    assert!(near(never(3).value(), never(3).value()));
    assert!((0..20).any(|seed| !near(never(seed).value(), never(3).value())));
}

#[test]
fn a_search_with_one_beam_is_greedy() {
    let rng = &mut Rng::seed(2);
    let (net, x) = (net(BilinearAttention::new(3, 3, rng), rng), source(rng));
    for n in 0..3 {
        let one = Sequence::new(x.slice(0, n..=n)).with_lengths(&[3]);
        let (said, _) = net.free_running(&one, 6, Sampler::greedy(), rng);
        let found = net.search(&one, &BeamSearch::new(1, 6), 99);
        assert_eq!(found[0].tokens, said.to_vec().into_iter().map(|t| t as usize).collect::<Vec<_>>());
        let wider = net.search(&one, &BeamSearch::new(25, 3), 99);
        let narrow = net.search(&one, &BeamSearch::new(1, 3), 99);
        assert!(wider[0].log_probability >= narrow[0].log_probability - 1e-12);
    }
}

#[test]
fn padding_of_the_source_changes_nothing() {
    let (rng, lengths) = (&mut Rng::seed(3), [4, 1, 2]);
    let (net, x) = (net(AdditiveAttention::new(3, 3, 4, rng), rng), source(rng));
    let targets = Tensor::randint([3, 2], 0, 5, rng);
    let leaf = Var::leaf(with_nan(&x, &lengths));
    let together = net.teacher_forced(&Sequence::new(&leaf).with_lengths(&lengths), &targets, &mut Mode::Eval).logits.data();
    let g = together.square().sum(..).backward()[&leaf].clone();
    for (n, &length) in lengths.iter().enumerate() {
        let row = Var::leaf(x.slice(0, n..=n).slice(1, ..length));
        let alone = net.teacher_forced(&Sequence::new(&row), &targets.slice(0, n..=n), &mut Mode::Eval).logits.data();
        assert!(near(&together.value().slice(0, n..=n), alone.value()));
        assert!(near(&g.slice(0, n..=n).slice(1, ..length), &alone.square().sum(..).backward()[&row]));
        assert_eq!(g.slice(0, n..=n).slice(1, length..).abs().sum(..).item(), 0.0);
    }
}

#[test]
fn sequence_to_sequence_has_the_right_gradients() {
    let rng = &mut Rng::seed(4);
    let targets = Tensor::randint([3, 3], 0, 5, rng);
    let (additive, x) = (net(AdditiveAttention::new(3, 3, 2, rng), rng), source(rng));
    check_module(additive, [x.clone()], |net, v| {
        let source = Sequence::new(&v[0]).with_lengths(&[4, 3, 1]);
        net.teacher_forced(&source, &targets, &mut Mode::Eval).logits.with_lengths(&[3, 1, 2]).cross_entropy(&targets)
    })
    .unwrap();
    // Both directions read, and the decoder begins with what both have read.
    let encoder = Bidirectional::new(Gru::new(2, 2, rng), Gru::new(2, 2, rng));
    let decoder = decoder(Recurrent::new(Gru::new(3, 4, rng)), DotAttention::new(), 4 + 4, rng);
    let both = EncoderDecoder::bridged(encoder, decoder, |(a, b)| Var::concat(&[a, b], 1));
    check_module(both, [x], |net, v| {
        net.scheduled(&Sequence::new(&v[0]), &targets, TeacherForcing::Probability(0.5), 0, &mut Rng::seed(1)).logits.data()
    })
    .unwrap();
}

#[test]
#[should_panic(expected = "tokens [2, 3]; wanted [3, T]")]
fn targets_of_another_batch_are_refused() {
    let rng = &mut Rng::seed(0);
    let x = Sequence::new(source(rng));
    net(DotAttention::new(), rng).teacher_forced(&x, &Tensor::zeros([2, 3]), &mut Mode::Eval);
}

/// `-ln` of the sum of the probabilities of all paths that become the target.
fn by_all_paths(p: &[Vec<f64>], target: &[usize], blank: usize) -> f64 {
    let (steps, classes) = (p.len(), p[0].len());
    let mut sum = 0.0;
    for number in 0..classes.pow(steps as u32) {
        let path: Vec<usize> = (0..steps).map(|t| number / classes.pow(t as u32) % classes).collect();
        let mut said = path.clone();
        said.dedup();
        said.retain(|&c| c != blank);
        if said == target {
            sum += path.iter().zip(p).map(|(&c, p)| p[c]).product::<f64>();
        }
    }
    -f64::ln(sum)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn ctc_is_the_sum_over_all_paths(
        steps in 1usize..6, classes in 2usize..4, blank in 0usize..2, labels in prop::collection::vec(0usize..2, 0..4), seed: u64,
    ) {
        let target: Vec<usize> = labels.iter().map(|l| (blank + 1 + l % (classes - 1)) % classes).collect();
        let least = target.len() + target.windows(2).filter(|w| w[0] == w[1]).count();
        prop_assume!(least <= steps);
        // A second sequence, all of whose steps are there, and one step of padding for the first.
        let logits = normal([2, steps + 1, classes], &mut Rng::seed(seed));
        let x = Sequence::new(with_nan(&logits, &[steps, steps + 1])).with_lengths(&[steps, steps + 1]);
        let losses = Ctc::new().blank(blank).reduction(Reduction::None).of(&x, &[target.clone(), target.clone()]).into_value();
        let p = Var::constant(logits).softmax(2).into_value();
        for (n, length) in [steps, steps + 1].into_iter().enumerate() {
            let rows: Vec<Vec<f64>> = (0..length).map(|t| p.select(0, n).select(0, t).to_vec()).collect();
            prop_assert!((losses.at([n]) - by_all_paths(&rows, &target, blank)).abs() < 1e-10);
        }
    }
}

#[test]
fn ctc_over_many_steps_stays_finite() {
    let x = Var::leaf(Tensor::<f32>::normal([1, 2000, 5], 0.0, 10.0, &mut Rng::seed(0)));
    let loss = Ctc::new().of(&Sequence::new(&x), &[vec![1, 2, 3, 4, 4, 1]]);
    assert!(loss.item().is_finite());
    let g = loss.backward()[&x].clone();
    assert!(g.to_vec().iter().all(|g| g.is_finite()));
    // Each step's posterior and softmax add up to 1.
    assert!(g.sum(2).abs().max(..).item() < 1e-4);
    check(|v| Ctc::new().of(&Sequence::new(&v[0]), &[vec![1, 1]]), [normal([1, 4, 3], &mut Rng::seed(1))]).unwrap();
}

#[test]
#[should_panic(expected = "target 1 of 2 labels takes 3 steps or more; its input has 2")]
fn a_target_longer_than_its_input_is_refused() {
    let logits = Sequence::new(Tensor::<f32>::zeros([2, 4, 3])).with_lengths(&[4, 2]);
    Ctc::new().of(&logits, &[vec![1, 2], vec![2, 2]]);
}

#[test]
#[should_panic(expected = "label 3 in target 0; wanted classes 0 to 2, not the blank 0")]
fn a_label_that_is_no_class_is_refused() {
    Ctc::new().of(&Sequence::new(Tensor::<f32>::zeros([1, 4, 3])), &[vec![3]]);
}
