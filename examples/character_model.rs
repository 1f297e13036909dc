//! A model of characters: an LSTM reads a book and says at each character what comes next, with the state carried from each piece
//! of text to the one after it (truncated back-propagation through time). The same in PyTorch is in
//! `docs/reference/character_model.py`.
//!
//! `cargo run --release --example character_model`, with `--help` for its options.

use clap::Parser;
use gradus::data::Vocabulary;
use gradus::nn::{HiddenRecurrence, Sampler, bits_per_character};
use gradus::optim::OptimError;
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series};
use std::error::Error;
use std::path::{Path, PathBuf};

/// A character model of Moby-Dick, or of any text. Writes bits.svg to target/character_model/.
#[derive(Parser)]
struct Options {
    /// The text
    #[arg(long, default_value = "data/texts/moby-dick.txt")]
    text: PathBuf,
    /// Training steps
    #[arg(long, default_value_t = 1500)]
    updates: usize,
    /// Units of the LSTM
    #[arg(long, default_value_t = 256)]
    hidden: usize,
    /// Runs, each with weights of its own
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// What docs/reference/character_model.py wrote, to be drawn beside
    #[arg(long)]
    reference: Option<PathBuf>,
}

const LANES: usize = 32;
const STEPS: usize = 64;
const EVERY: usize = 100;

/// Characters in, logits of the next ones out.
#[derive(Module)]
struct CharacterModel {
    embedding: Embedding,
    lstm: HiddenRecurrence<Recurrent<Lstm>>,
}

type State = (Var, Var);

impl CharacterModel {
    fn new(characters: usize, hidden: usize, rng: &mut Rng) -> Self {
        let (embedding, lstm) = (Embedding::new(characters, 64, rng), Recurrent::new(Lstm::new(64, hidden, rng)));
        Self { embedding, lstm: HiddenRecurrence::new(lstm, Linear::new(hidden, characters, rng)) }
    }

    /// The mean cross-entropy of the text `[lanes, steps + 1]`, each character but the first said from those before it, and the state
    /// after it.
    fn loss(&self, text: &Tensor<i64>, state: &State, mode: &mut Mode) -> (Var, State) {
        let steps = text.shape()[1] - 1;
        let read = Sequence::new(self.embedding.embed(&text.slice(1, ..steps)));
        let (logits, state) = self.lstm.run_from(&read, state, mode);
        (logits.cross_entropy(&text.slice(1, 1..)), state.detach())
    }

    fn begin(&self, lanes: usize) -> State {
        self.lstm.recurrent().initial_state(lanes)
    }

    /// Bits per character of a text in lanes.
    fn bits(&self, text: &Tensor<i64>) -> f64 {
        let (pieces, mut state) = ((text.shape()[1] - 1) / STEPS, self.begin(text.shape()[0]));
        let mut sum = 0.0;
        for piece in 0..pieces {
            let (loss, next) = no_grad(|| self.loss(&part(text, piece), &state, &mut Mode::Eval));
            sum += f64::from(loss.item());
            state = next;
        }
        bits_per_character(sum / pieces as f64)
    }

    /// A text that begins with a given one, its characters drawn one after the other.
    fn write(&self, vocabulary: &Vocabulary<char>, begin: &str, length: usize, sampler: Sampler, rng: &mut Rng) -> String {
        let mut written = vocabulary.encode(begin.chars()).expect("of the text's characters");
        let (mut state, mut read) = (self.begin(1), 0);
        while written.len() < length {
            let new = Tensor::from_vec(written[read..].to_vec(), [1, written.len() - read]);
            read = written.len();
            let (logits, next) = no_grad(|| {
                let embedded = Sequence::new(self.embedding.embed(&new));
                self.lstm.run_from(&embedded, &state, &mut Mode::Eval)
            });
            state = next;
            written.push(sampler.choose(logits.last().value(), rng).item());
        }
        vocabulary.decode(written.into_iter().map(|c| c as usize)).into_iter().collect()
    }
}

/// A text as lanes `[LANES, length]`, which are read side by side.
fn lanes(text: &[i64]) -> Tensor<i64> {
    let length = text.len() / LANES;
    Tensor::from_vec(text[..LANES * length].to_vec(), [LANES, length])
}

/// The characters that one training step reads, and the one after them.
fn part(text: &Tensor<i64>, piece: usize) -> Tensor<i64> {
    text.slice(1, piece * STEPS..(piece + 1) * STEPS + 1)
}

/// One run: bits per character of the training text since the last row, and of the text held out.
fn train(
    seed: u64,
    texts: [&Tensor<i64>; 2],
    characters: usize,
    o: &Options,
) -> Result<(CharacterModel, Vec<[f64; 3]>), OptimError> {
    let [text, held_out] = texts;
    let rng = &mut Rng::seed(seed);
    let mut net = CharacterModel::new(characters, o.hidden, rng);
    let mut opt = Adam::new(2e-3).clip_norm(1.0);
    let (pieces, mut state) = ((text.shape()[1] - 1) / STEPS, net.begin(LANES));
    let (mut rows, mut sum) = (Vec::new(), 0.0);
    for update in 1..=o.updates {
        let piece = (update - 1) % pieces;
        if piece == 0 {
            state = net.begin(LANES);
        }
        let (loss, next) = net.loss(&part(text, piece), &state, &mut Mode::Train(rng));
        state = next;
        sum += f64::from(loss.item());
        opt.step(&mut net, loss.backward())?;
        if update % EVERY == 0 {
            let [seen, unseen] = [bits_per_character(sum / EVERY as f64), net.bits(held_out)];
            println!("run {seed}, update {update:5}: bits per character {seen:.3}, of the text held out {unseen:.3}");
            rows.push([update as f64, seen, unseen]);
            sum = 0.0;
        }
    }
    Ok((net, rows))
}

/// Bits per character of the text held out, by updates.
type Run = Vec<(f64, f64)>;

/// The runs of PyTorch.
fn reference(path: &Path) -> Result<Vec<Run>, Box<dyn Error>> {
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let o = Options::parse();
    let out = Path::new("target/character_model");
    std::fs::create_dir_all(out)?;
    let text = std::fs::read_to_string(&o.text).map_err(|e| format!("{}: {e}", o.text.display()))?;
    let vocabulary = Vocabulary::new(text.chars());
    let numbers = vocabulary.encode(text.chars())?;
    let (seen, unseen) = numbers.split_at(numbers.len() / 20 * 19);
    if unseen.len() <= LANES * (STEPS + 1) {
        return Err(format!("a text of {} characters; wanted 20 times {}", numbers.len(), LANES * (STEPS + 1)).into());
    }
    println!("{} characters, {} different ones; the last {} held out", numbers.len(), vocabulary.len(), unseen.len());

    let mut chart = Chart::new("A model of characters", "update", "bits per character, held out");
    let mut last = None;
    for seed in 1..=o.seeds {
        let (net, rows) = train(seed, [&lanes(seen), &lanes(unseen)], vocabulary.len(), &o)?;
        chart = chart.series(Series::new(format!("run {seed}"), rows.iter().map(|r| (r[0], r[2])).collect()));
        last = Some(net);
    }
    for (i, run) in o.reference.as_deref().map(reference).transpose()?.into_iter().flatten().enumerate() {
        println!("PyTorch, run {}: {:.3}", i + 1, run.last().map_or(f64::NAN, |r| r.1));
        chart = chart.series(Series::new(format!("PyTorch {}", i + 1), run));
    }
    chart.save(out.join("bits.svg"))?;
    if let Some(net) = last {
        for temperature in [0.3, 0.7, 1.0, 1.3] {
            let begin: String = text.chars().take(20).collect();
            let written = net.write(&vocabulary, &begin, 300, Sampler::temperature(temperature), &mut Rng::seed(7));
            println!("\ntemperature {temperature}:\n{written}");
        }
    }
    println!("\nwrote bits.svg to {}", out.display());
    Ok(())
}
