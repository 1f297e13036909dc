//! The list of optimisers, and the page that shows it.

use gradus_optim::registry::{BuiltIn, HyperParameter, RuleVisitor, for_every_rule};
use gradus_optim::*;
use gradus_tensor::Tensor;

/// A row of the page's table for each rule.
#[derive(Default)]
struct Rows(Vec<String>);

/// A builder method with its defaults and its range.
fn option(arguments: &[HyperParameter]) -> String {
    let is_bool = arguments[0].range == "true or false";
    let defaults = arguments.iter().map(|o| if is_bool { (o.default != 0.0).to_string() } else { format!("{:?}", o.default) });
    let call = format!("`{}({})`", arguments[0].method, defaults.collect::<Vec<_>>().join(", "));
    if is_bool { call } else { format!("{call} in `{}`", arguments[0].range) }
}

impl RuleVisitor for Rows {
    fn rule<R: BuiltIn>(&mut self) {
        let parameters = R::hyper_parameters();
        let options: Vec<String> = parameters.chunk_by(|a, b| a.method == b.method).map(option).collect();
        let state = Rule::<f64>::init(&R::default(), &Tensor::zeros([1]));
        let names: Vec<String> = state.tensors().into_iter().map(|(name, _)| format!("`{name}`")).collect();
        let keeps = if names.is_empty() { "nothing".to_string() } else { names.join(", ") };
        self.0.push(format!("| `{}` | {:?} | {} | {keeps} |", R::NAME, R::LR, options.join(", ")));
    }
}

/// `UPDATE_DOCS=1 cargo test -p gradus-optim registry` writes the table.
#[test]
fn the_page_of_optimisers_has_every_rule_with_its_options() {
    let mut rows = Rows::default();
    for_every_rule(&mut rows);
    assert!(rows.0.len() >= 9, "{:?}", rows.0);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/optimisers.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (head, after_head) = page.split_once("|---|---|---|---|\n").expect("the table has four columns");
    let (table, text) = after_head.split_once("\n\n").expect("text follows");
    let expected = rows.0.join("\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{head}|---|---|---|---|\n{expected}\n\n{text}")).unwrap();
    } else {
        assert_eq!(table, expected, "docs/optimisers.md");
    }
}
