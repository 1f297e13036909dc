//! Tags for each step of a sequence, by a network that reads forward and by one that reads both ways. First a task that is exactly
//! defined and needs the future: will this symbol come again in the sequence? Then, with `--brown`, parts of speech of real
//! sentences, for which what follows a word helps to tell what it is.
//!
//! `cargo run --release --example tagging`, with `--help` for its options.

use clap::Parser;
use gradus::data::Vocabulary;
use gradus::nn::{Bidirectional, HiddenRecurrence};
use gradus::optim::OptimError;
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, save_charts};
use std::error::Error;
use std::path::{Path, PathBuf};

/// Tagging, uni- and bidirectional. Writes accuracy.svg to target/tagging/.
#[derive(Parser)]
struct Options {
    /// Training steps on symbols, of 64 sequences of 10 to 20
    #[arg(long, default_value_t = 1500)]
    updates: usize,
    /// A folder of the Brown corpus: files of `word/tag` tokens, a sentence a line
    #[arg(long)]
    brown: Option<PathBuf>,
    /// Passes over its sentences
    #[arg(long, default_value_t = 2)]
    epochs: usize,
}

const SYMBOLS: usize = 26;
const HIDDEN: usize = 64;
const WORDS: usize = 20_000;

/// Tokens in, a tag for each out.
#[derive(Module)]
struct Tagger<U> {
    embedding: Embedding,
    tags: HiddenRecurrence<U>,
}

impl<U: RecurrentLayer> Tagger<U> {
    fn new(tokens: usize, recurrent: U, width: usize, tags: usize, rng: &mut Rng) -> Self {
        let tags = HiddenRecurrence::new(recurrent, Linear::new(width, tags, rng));
        Self { embedding: Embedding::new(tokens, HIDDEN, rng), tags }
    }

    fn forward(&self, batch: &Batch, mode: &mut Mode) -> Sequence {
        let x = Sequence::new(self.embedding.embed(&batch.tokens)).with_lengths(&batch.lengths);
        self.tags.run(&x, mode).0
    }

    /// The share of tags that are right.
    fn accuracy(&self, batches: &[Batch]) -> f64 {
        let (mut right, mut all) = (0, 0);
        for batch in batches {
            let said = no_grad(|| self.forward(batch, &mut Mode::Eval)).data().value().argmax(2);
            for (n, &length) in batch.lengths.iter().enumerate() {
                right += (0..length).filter(|&t| said.at([n, t]) == batch.tags.at([n, t])).count();
                all += length;
            }
        }
        right as f64 / all as f64
    }
}

/// Tokens and tags `[N, T]`, of which each row has its length.
struct Batch {
    tokens: Tensor<i64>,
    tags: Tensor<i64>,
    lengths: Vec<usize>,
}

impl Batch {
    fn of(rows: &[Vec<(i64, i64)>]) -> Self {
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        let longest = lengths.iter().copied().max().unwrap_or(1);
        let at = |n: usize, t: usize| rows[n].get(t).copied().unwrap_or((0, 0));
        let tokens = Tensor::from_fn([rows.len(), longest], |i| at(i[0], i[1]).0);
        Self { tokens, tags: Tensor::from_fn([rows.len(), longest], |i| at(i[0], i[1]).1), lengths }
    }
}

/// Symbols, and whether each comes again.
fn symbols(rng: &mut Rng) -> Batch {
    let row = |rng: &mut Rng| {
        let row: Vec<i64> = (0..10 + rng.below(11)).map(|_| rng.below(SYMBOLS) as i64).collect();
        let again = |t: usize| i64::from(row[t + 1..].contains(&row[t]));
        (0..row.len()).map(|t| (row[t], again(t))).collect()
    };
    Batch::of(&(0..64).map(|_| row(rng)).collect::<Vec<_>>())
}

/// Trains on batches, and says the accuracy on others twenty times on the way.
fn train<U: RecurrentLayer>(
    name: &str,
    mut net: Tagger<U>,
    batches: impl Iterator<Item = Batch>,
    updates: usize,
    held_out: &[Batch],
) -> Result<Series, OptimError> {
    let (mut opt, rng) = (Adam::new(2e-3).clip_norm(1.0), &mut Rng::seed(3));
    let mut points = Vec::new();
    for (update, batch) in (1..=updates).zip(batches) {
        let loss = net.forward(&batch, &mut Mode::Train(rng)).cross_entropy(&batch.tags);
        opt.step(&mut net, loss.backward())?;
        if update % (updates / 20).max(1) == 0 {
            points.push((update as f64, 100.0 * net.accuracy(held_out)));
        }
    }
    println!("{name:14} {:.2} % of tags held out are right", points.last().map_or(f64::NAN, |p| p.1));
    Ok(Series::new(name, points))
}

/// The same for a network in one direction, and for one of as many units in both.
fn compare<I: Iterator<Item = Batch>>(
    title: &str,
    (tokens, tags): (usize, usize),
    batches: impl Fn() -> I,
    updates: usize,
    held_out: &[Batch],
) -> Result<Chart, OptimError> {
    let rng = &mut Rng::seed(1);
    let forward = Recurrent::new(Lstm::new(HIDDEN, 2 * HIDDEN, rng));
    let both = Bidirectional::new(Lstm::new(HIDDEN, HIDDEN, rng), Lstm::new(HIDDEN, HIDDEN, rng));
    println!("{title}");
    let forward = Tagger::new(tokens, forward, 2 * HIDDEN, tags, rng);
    let both = Tagger::new(tokens, both, 2 * HIDDEN, tags, rng);
    let chart = Chart::new(title, "update", "tags right, %");
    let chart = chart.series(train("forward", forward, batches(), updates, held_out)?);
    Ok(chart.series(train("both directions", both, batches(), updates, held_out)?))
}

/// Words with their tags.
type Sentence = Vec<(String, String)>;

/// Words in small letters with the first part of their tags, without what says that they stand in a title or are negated.
fn read_brown(folder: &Path) -> Result<Vec<Sentence>, Box<dyn Error>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|f| f.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.len() == 4 && n.starts_with('c')));
    files.sort();
    let mut sentences = Vec::new();
    for file in files {
        for line in std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?.lines() {
            let tagged = line.split_whitespace().filter_map(|token| token.rsplit_once('/'));
            let plain = |tag: &str| tag.split(['-', '+', '*', '$']).find(|part| !part.is_empty()).unwrap_or(tag).to_string();
            let sentence: Vec<_> = tagged.map(|(word, tag)| (word.to_lowercase(), plain(tag))).collect();
            if !sentence.is_empty() {
                sentences.push(sentence);
            }
        }
    }
    if sentences.is_empty() {
        return Err(format!("{}: no sentence in files ca01 to cr09", folder.display()).into());
    }
    Ok(sentences)
}

fn brown(folder: &Path, epochs: usize) -> Result<Chart, Box<dyn Error>> {
    let mut sentences = read_brown(folder)?;
    Rng::seed(2).shuffle(&mut sentences);
    let (held_out, seen) = sentences.split_at(sentences.len() / 10);
    let words = Vocabulary::most_common(seen.iter().flatten().map(|(word, _)| word.clone()), WORDS);
    let tags = Vocabulary::new(sentences.iter().flatten().map(|(_, tag)| tag.clone()));
    let numbers = |sentence: &Sentence| {
        // What is not among the commonest words becomes one token more.
        let word = |word: &str| words.get(word).unwrap_or(words.len()) as i64;
        let tag = |tag: &str| tags.get(tag).expect("of all sentences") as i64;
        sentence.iter().map(|(w, t)| (word(w), tag(t))).collect::<Vec<_>>()
    };
    let [held_out, seen] = [held_out, seen].map(|part| part.iter().map(numbers).collect::<Vec<_>>());
    let held_out: Vec<Batch> = held_out.chunks(128).map(Batch::of).collect();
    let per_epoch = seen.len().div_ceil(32);
    let batches = || {
        let rng = &mut Rng::seed(4);
        let order: Vec<usize> = (0..epochs).flat_map(|_| rng.permutation(seen.len())).collect();
        let seen = &seen;
        (0..epochs * per_epoch).map(move |i| {
            let rows = order.iter().skip(i * 32).take(32);
            Batch::of(&rows.map(|&row| seen[row].clone()).collect::<Vec<_>>())
        })
    };
    println!("\n{} sentences, {} tags, {} words and one for all others", sentences.len(), tags.len(), words.len());
    Ok(compare("Parts of speech", (words.len() + 1, tags.len()), batches, epochs * per_epoch, &held_out)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let o = Options::parse();
    let out = Path::new("target/tagging");
    std::fs::create_dir_all(out)?;
    let rng = &mut Rng::seed(1000);
    let held_out: Vec<Batch> = (0..10).map(|_| symbols(rng)).collect();
    let batches = || {
        let mut rng = Rng::seed(2);
        std::iter::repeat_with(move || symbols(&mut rng))
    };
    let mut charts = vec![compare("Will this symbol come again?", (SYMBOLS, 2), batches, o.updates, &held_out)?];
    if let Some(folder) = &o.brown {
        charts.push(brown(folder, o.epochs)?);
    }
    save_charts(out.join("accuracy.svg"), &charts)?;
    println!("wrote accuracy.svg to {}", out.display());
    Ok(())
}
