//! The tables of docs/ops.md and docs/optimisers.md, made from the lists of ops and of optimisers.
//!
//! `cargo run --release --example tables -- ops`, `layers` or `optimisers`; `docs/regenerate.sh` puts them into the pages.

use gradus::autograd::samples::{ListedOp, listed_ops};
use gradus::optim::registry::{BuiltIn, HyperParameter, RuleVisitor, for_every_rule};
use gradus::optim::{RuleState, UpdateRule};
use gradus::prelude::*;
use std::collections::BTreeMap;

/// A row for each op: its name, its kind, and what decides its result besides its inputs.
fn ops(listed: &[ListedOp]) {
    let mut rows = BTreeMap::new();
    for op in listed {
        for sample in (op.samples)() {
            let described = op.recorded_by(&sample).expect("a sample of an op records it");
            rows.insert((described.kind, sample.name), described.attributes);
        }
    }
    println!("| op | kind | attributes |\n|---|---|---|");
    for ((kind, name), attributes) in rows {
        let attributes: Vec<String> = attributes.iter().map(|(name, _)| format!("`{name}`")).collect();
        println!("| `{name}` | {} | {} |", format!("{kind:?}").to_lowercase(), attributes.join(", "));
    }
}

/// A builder method with its defaults and its range.
fn option(arguments: &[HyperParameter]) -> String {
    let is_bool = arguments[0].range == "true or false";
    let defaults = arguments.iter().map(|o| if is_bool { (o.default != 0.0).to_string() } else { format!("{:?}", o.default) });
    let call = format!("`{}({})`", arguments[0].method, defaults.collect::<Vec<_>>().join(", "));
    if is_bool { call } else { format!("{call} in `{}`", arguments[0].range) }
}

/// A row for each optimiser.
struct Optimisers;

impl RuleVisitor for Optimisers {
    fn rule<R: BuiltIn>(&mut self) {
        let parameters = R::hyper_parameters();
        let options: Vec<String> = parameters.chunk_by(|a, b| a.method == b.method).map(option).collect();
        let state = UpdateRule::<f64>::init(&R::default(), &Tensor::zeros([1]));
        let names: Vec<String> = state.tensors().into_iter().map(|(name, _)| format!("`{name}`")).collect();
        let keeps = if names.is_empty() { "nothing".to_string() } else { names.join(", ") };
        println!("| `{}` | {:?} | {} | {keeps} |", R::NAME, R::LR, options.join(", "));
    }
}

fn main() -> Result<(), String> {
    match std::env::args().nth(1).as_deref() {
        Some("ops") => ops(&listed_ops()),
        Some("layers") => ops(&gradus::nn::samples::listed_ops()),
        Some("optimisers") => {
            println!(
                "| rule | usual rate | options with their defaults and valid values | keeps per weight |\n|---|---|---|---|"
            );
            for_every_rule(&mut Optimisers);
        }
        _ => return Err("which table: `ops`, `layers` or `optimisers`?".to_string()),
    }
    Ok(())
}
