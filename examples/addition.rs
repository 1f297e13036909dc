//! Sums of numbers of up to two digits, as characters: an encoder reads "47+85", a decoder that attends to what was read says
//! "132" and an end. In training the decoder reads the right answer's characters (teacher forcing); in use it reads its own. What
//! that hides is measured: losses of both, without and with scheduled sampling.
//!
//! `cargo run --release --example addition`, with `--help` for its options.

use clap::Parser;
use gradus::nn::{AdditiveAttention, Bidirectional, Decoder, EncoderDecoder, ForcingGap, Sampler, TeacherForcing};
use gradus::optim::OptimError;
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, heatmap};
use std::error::Error;
use std::path::Path;

/// Learns to add. Writes losses.svg and attention.svg to target/addition/.
#[derive(Parser)]
struct Options {
    /// Training steps of each network, of 128 sums
    #[arg(long, default_value_t = 7000)]
    updates: usize,
    /// Units
    #[arg(long, default_value_t = 128)]
    hidden: usize,
}

const CHARACTERS: &str = "0123456789+";
/// Tokens of an answer: the ten digits, the end, and the start.
const END: usize = 10;
const START: usize = 11;
const TOKENS: usize = 12;
const LONGEST: usize = 4;
const HELD_OUT: usize = 1000;

type Net = EncoderDecoder<Bidirectional<Gru>, Recurrent<Gru>, AdditiveAttention>;

/// Sums as vectors and answers as tokens, with their lengths.
struct Sums {
    source: Sequence,
    answers: Tensor<i64>,
    lengths: Vec<usize>,
}

impl Sums {
    fn of(pairs: &[(usize, usize)]) -> Self {
        let texts: Vec<String> = pairs.iter().map(|(a, b)| format!("{a}+{b}")).collect();
        let sums: Vec<String> = pairs.iter().map(|(a, b)| (a + b).to_string()).collect();
        let longest = texts.iter().map(String::len).max().unwrap_or(1);
        let number = |text: &str, t: usize| text.as_bytes().get(t).and_then(|&c| CHARACTERS.bytes().position(|d| d == c));
        let read = Tensor::from_fn([pairs.len(), longest], |at| number(&texts[at[0]], at[1]).unwrap_or(0) as i64);
        let answers = Tensor::from_fn([pairs.len(), LONGEST], |at| number(&sums[at[0]], at[1]).unwrap_or(END) as i64);
        let source = Sequence::new(read.one_hot::<f32>(CHARACTERS.len()));
        let source = source.with_lengths(&texts.iter().map(String::len).collect::<Vec<_>>());
        Self { source, answers, lengths: sums.iter().map(|s| s.len() + 1).collect() }
    }

    /// The mean cross-entropy of the answers' characters, their end among them.
    fn loss(&self, logits: &Sequence) -> Var {
        logits.clone().with_lengths(&self.lengths).cross_entropy(&self.answers)
    }

    /// The share of answers that are right in every character when the network runs freely.
    fn exact(&self, net: &Net) -> f64 {
        let (said, _) = no_grad(|| net.free_running(&self.source, LONGEST, Sampler::greedy(), &mut Rng::seed(0)));
        let right = |n: usize| (0..self.lengths[n]).all(|t| said.at([n, t]) == self.answers.at([n, t]));
        (0..self.lengths.len()).filter(|&n| right(n)).count() as f64 / self.lengths.len() as f64
    }
}

fn network(hidden: usize, rng: &mut Rng) -> Net {
    let half = hidden / 2;
    let encoder = Bidirectional::new(Gru::new(CHARACTERS.len(), half, rng), Gru::new(CHARACTERS.len(), half, rng));
    let decoder = Decoder::new(
        Embedding::new(TOKENS, 16, rng),
        Recurrent::new(Gru::new(16, hidden, rng)),
        AdditiveAttention::new(hidden, hidden, half, rng),
        Linear::new(2 * hidden, hidden, rng),
        Linear::new(hidden, TOKENS, rng),
        START,
    );
    EncoderDecoder::bridged(encoder, decoder, |(forward, backward)| Var::concat(&[forward, backward], 1))
}

/// A network trained under a schedule, and by updates the losses of sums held out.
fn train(
    name: &str,
    forcing: TeacherForcing,
    all: &[(usize, usize)],
    o: &Options,
) -> Result<(Net, Vec<(f64, ForcingGap)>), OptimError> {
    let (seen, held_out) = all.split_at(all.len() - HELD_OUT);
    let held_out = Sums::of(held_out);
    let rng = &mut Rng::seed(2);
    let mut net = network(o.hidden, rng);
    let mut opt = Adam::new(2e-3).clip_norm(1.0);
    let mut gaps = Vec::new();
    println!("\n{name}");
    for update in 1..=o.updates {
        // A rate that falls to nothing lets the last mistakes be mended.
        opt.set_lr(2e-3 * (1.0 - update as f64 / (o.updates + 1) as f64));
        let batch: Vec<(usize, usize)> = (0..128).map(|_| seen[rng.below(seen.len())]).collect();
        let sums = Sums::of(&batch);
        let decoded = net.scheduled(&sums.source, &sums.answers, forcing, update, rng);
        opt.step(&mut net, sums.loss(&decoded.logits).backward())?;
        if update % (o.updates / 20).max(1) == 0 {
            let gap = net.forcing_gap(&held_out.source, &held_out.answers, |logits| held_out.loss(logits));
            println!("update {update:5}: {gap}; exact {:6.2} %", 100.0 * held_out.exact(&net));
            gaps.push((update as f64, gap));
        }
    }
    Ok((net, gaps))
}

fn draw_attention(net: &Net, (a, b): (usize, usize), path: &Path) -> Result<(), TrainError> {
    let (text, source) = (format!("{a}+{b}"), Sums::of(&[(a, b)]).source);
    let (said, decoded) = no_grad(|| net.free_running(&source, LONGEST, Sampler::greedy(), &mut Rng::seed(0)));
    let name = |t: i64| if t as usize == END { "end".to_string() } else { t.to_string() };
    let said: Vec<String> = said.to_vec().into_iter().map(name).collect();
    let percent = (decoded.weights.value().select(0, 0) * 100.0).round().cast::<f64>();
    let read: Vec<String> = text.chars().map(String::from).collect();
    heatmap(path, &format!("{text}: where each step looks, in %"), &percent, (&said, &read), ("said", "read"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let o = Options::parse();
    let out = Path::new("target/addition");
    std::fs::create_dir_all(out)?;
    let order = Rng::seed(1).permutation(100 * 100);
    let all: Vec<(usize, usize)> = order.into_iter().map(|i| (i / 100, i % 100)).collect();
    println!("{} sums to learn from, {HELD_OUT} held out", all.len() - HELD_OUT);

    let fall = TeacherForcing::InverseSigmoid { k: o.updates as f64 / 10.0 };
    let mut chart = Chart::new("Sums held out", "update", "log10 of the cross-entropy");
    let mut table = Vec::new();
    for (name, forcing) in [("always the teacher", TeacherForcing::Always), ("scheduled sampling", fall)] {
        let (net, gaps) = train(name, forcing, &all, &o)?;
        let points = |of: fn(&ForcingGap) -> f64| gaps.iter().map(|(update, gap)| (*update, of(gap).log10())).collect();
        chart = chart.series(Series::new(format!("{name}: teacher-forced"), points(|g| g.teacher_forced)));
        chart = chart.series(Series::new(format!("{name}: running freely"), points(|g| g.free_running)));
        if forcing == TeacherForcing::Always {
            draw_attention(&net, (47, 85), &out.join("attention.svg"))?;
        }
        let exact = Sums::of(&all[all.len() - HELD_OUT..]).exact(&net);
        table.extend(gaps.last().map(|(_, gap)| (name, *gap, exact)));
    }
    chart.save(out.join("losses.svg"))?;
    println!("\n| training | teacher-forced | running freely | gap | exact |\n|---|---:|---:|---:|---:|");
    for (name, gap, exact) in table {
        let (forced, free) = (gap.teacher_forced, gap.free_running);
        println!("| {name} | {forced:.5} | {free:.5} | {:.5} | {:.2} % |", gap.gap(), 100.0 * exact);
    }
    println!("\nwrote losses.svg and attention.svg to {}", out.display());
    Ok(())
}
