//! The tape in Graphviz' language.

use super::table::short_place;
use super::tape::Tape;
use std::fmt::Write;

/// Text between quotation marks.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Tape {
    /// The tape as a graph in the DOT language: `dot -Tsvg tape.dot > tape.svg`.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// let dot = Var::leaf([1.0f32].into()).exp().tape().to_dot();
    /// assert!(dot.starts_with("digraph tape {") && dot.contains("->"));
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph tape {\n  node [shape=box, style=\"filled,rounded\", fontname=\"Helvetica\"];\n");
        for e in self {
            let (fill, border) = e.kind.colours();
            let mut label = format!("{}\n{}", e.label(), e.shape);
            if !e.is_leaf() {
                label = format!("{label}\n{}", short_place(e.at));
            }
            let (label, tip) = (quoted(&label), quoted(&e.at.to_string()));
            // Writing to a string cannot fail.
            let _ =
                writeln!(dot, "  n{} [label=\"{label}\", tooltip=\"{tip}\", fillcolor=\"{fill}\", color=\"{border}\"];", e.id);
        }
        for e in self {
            for input in &e.inputs {
                let _ = writeln!(dot, "  n{input} -> n{};", e.id);
            }
        }
        dot.push_str("}\n");
        dot
    }
}
