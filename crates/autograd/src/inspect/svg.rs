//! The tape as a picture.

use super::layout::{Layout, Link, Rect, layout};
use super::table::{self, short_place};
use super::tape::{Tape, TapeEntry};
use crate::op::OpKind;
use std::collections::{BTreeSet, HashMap};
use std::fmt::{self, Display, Write};
use std::time::Duration;

const MARGIN: f64 = 24.0;
/// The room above the boxes, for the summary and the legend.
const HEAD: f64 = 70.0;
/// The room below the text for the bar that shows an op's time.
const HEAT: f64 = 7.0;
const TITLE: f64 = 14.0;
const SMALL: f64 = 11.0;

const STYLE: &str = "text { font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: #212529 } \
    .name { font-size: 13px; font-weight: bold; text-anchor: middle } \
    .shape { font-size: 11.5px; text-anchor: middle } \
    .line { font-size: 10px; fill: #6c757d; text-anchor: middle } \
    .cost { font-size: 10px; font-weight: bold; fill: #495057; text-anchor: middle } \
    .title { font-size: 14px; font-weight: bold } .legend { font-size: 11px } \
    .edge { fill: none; stroke: #868e96; stroke-width: 1.4 } .edge.leaf { stroke: #b8bfc6; stroke-width: 1.2 }";

/// Text between tags or in an attribute.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' => f.write_str("&#10;")?,
                // What XML has no way to write.
                c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// At least as wide as the text is in the usual fonts, which are not at hand to be measured.
fn width(text: &str, size: f64, bold: bool) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | ' ' => 0.36,
        'f' | 't' | 'r' | '/' | '[' | ']' | '(' | ')' | '-' => 0.45,
        'm' | 'w' | 'M' | 'W' => 0.95,
        'A'..='Z' => 0.74,
        _ if c.is_ascii() => 0.62,
        _ => 1.0,
    };
    text.chars().map(em).sum::<f64>() * size * if bold { 1.1 } else { 1.0 }
}

/// The lines of text in a box: class and text.
fn lines(e: &TapeEntry) -> Vec<(&'static str, String)> {
    let mut lines = vec![("name", e.label().to_string()), ("shape", e.shape.to_string())];
    if e.path.is_none() {
        lines.push(("line", short_place(e.at)));
    }
    if let (Some(time), Some(kept)) = (e.time, e.kept) {
        let kept = if kept > 0 { format!(" · keeps {}", table::bytes(kept)) } else { String::new() };
        lines.push(("cost", table::time(time) + &kept));
    }
    lines
}

fn text_size(class: &str) -> f64 {
    match class {
        "name" => 13.0,
        "shape" => 11.5,
        _ => 10.0,
    }
}

fn box_size(e: &TapeEntry) -> [f64; 2] {
    let lines = lines(e);
    let widest = lines.iter().map(|(class, text)| width(text, text_size(class), *class == "name")).fold(0.0, f64::max);
    let bar = if e.time.is_some() { HEAT } else { 0.0 };
    [(widest + 22.0).max(64.0), 12.0 + 15.0 * lines.len() as f64 + bar]
}

impl Tape {
    /// The tape as a self-contained SVG picture: boxes coloured by the kind of op, older ones above newer ones, each with
    /// its shape and its line; pointing at one shows more.
    ///
    /// Ops that ran inside [`profile`](crate::profile) show their time and the bytes that they keep as well; the bar is
    /// the time as part of the longest. A value that is read in several places runs down one line, from which each reader's branches off.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// let x = Var::leaf([1.0f32, 2.0].into());
    /// let svg = (x.exp() * &x).sum(..).tape().to_svg();
    /// assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    /// ```
    #[doc(alias("make_dot", "torchviz", "plot_model"))]
    pub fn to_svg(&self) -> String {
        let number: HashMap<u64, usize> = self.iter().enumerate().map(|(n, e)| (e.id, n)).collect();
        let inputs: Vec<Vec<usize>> = self.iter().map(|e| e.inputs.iter().map(|id| number[id]).collect()).collect();
        let sizes: Vec<[f64; 2]> = self.iter().map(box_size).collect();
        let mut svg = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_svg(&mut svg, &layout(&sizes, &inputs));
        svg
    }

    fn write_svg(&self, svg: &mut String, picture: &Layout) -> fmt::Result {
        let kinds: BTreeSet<OpKind> = self.iter().map(|e| e.kind).collect();
        let title = self.summary();
        let legend: f64 = kinds.iter().map(|k| legend_width(*k)).sum();
        let inner = picture.width.max(width(&title, TITLE, true)).max(legend);
        let (w, h) = (inner + 2.0 * MARGIN, picture.height + HEAD + 2.0 * MARGIN);
        writeln!(svg, r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0}" height="{h:.0}" viewBox="0 0 {w:.1} {h:.1}">"#)?;
        writeln!(svg, "<style>{STYLE}</style>")?;
        svg.push_str(
            "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" \
             orient=\"auto\"><path d=\"M0,0.8 L7.5,4 L0,7.2 z\" fill=\"#868e96\"/></marker></defs>\n",
        );
        writeln!(svg, r##"<rect width="100%" height="100%" fill="#ffffff"/>"##)?;
        writeln!(svg, r#"<text class="title" x="{MARGIN}" y="{:.0}">{}</text>"#, MARGIN + TITLE, Escaped(&title))?;
        write_legend(svg, &kinds)?;
        let left = MARGIN + (inner - picture.width) / 2.0;
        writeln!(svg, r#"<g transform="translate({left:.1},{:.1})">"#, MARGIN + HEAD)?;
        for link in &picture.links {
            write_link(svg, link, self[link.source].is_leaf())?;
        }
        let longest = self.iter().filter_map(|e| e.time).max().unwrap_or_default();
        for (e, rect) in self.iter().zip(&picture.boxes) {
            write_box(svg, e, rect, longest)?;
        }
        svg.push_str("</g>\n</svg>\n");
        Ok(())
    }
}

fn legend_width(kind: OpKind) -> f64 {
    width(kind.label(), SMALL, false) + 34.0
}

fn write_legend(svg: &mut String, kinds: &BTreeSet<OpKind>) -> fmt::Result {
    let (mut x, y) = (MARGIN, MARGIN + 32.0);
    for &kind in kinds {
        let (fill, border) = kind.colours();
        writeln!(svg, r#"<rect x="{x:.1}" y="{y:.1}" width="14" height="14" rx="3" fill="{fill}" stroke="{border}"/>"#)?;
        writeln!(svg, r#"<text class="legend" x="{:.1}" y="{:.1}">{}</text>"#, x + 20.0, y + 11.0, kind.label())?;
        x += legend_width(kind);
    }
    Ok(())
}

fn write_link(svg: &mut String, link: &Link, leaf: bool) -> fmt::Result {
    let ([x0, y0], [x1, y1], [b0, b1]) = (link.from, link.to, link.bend);
    let (class, end) =
        (if leaf { "edge leaf" } else { "edge" }, if link.into.is_some() { " marker-end=\"url(#arrow)\"" } else { "" });
    let middle = (b0 + b1) / 2.0;
    writeln!(
        svg,
        r#"<path class="{class}" d="M{x0:.1},{y0:.1} L{x0:.1},{b0:.1} C{x0:.1},{middle:.1} {x1:.1},{middle:.1} {x1:.1},{b1:.1} L{x1:.1},{y1:.1}"{end}/>"#
    )
}

fn write_box(svg: &mut String, e: &TapeEntry, rect: &Rect, longest: Duration) -> fmt::Result {
    let (fill, border) = e.kind.colours();
    let Rect { x, y, w, h } = *rect;
    let round = if e.is_leaf() { 16.0 } else { 7.0 };
    writeln!(svg, r#"<g class="node"><title>{}</title>"#, Escaped(&tip(e)))?;
    writeln!(
        svg,
        r#"<rect class="box" id="n{}" x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" rx="{round}" fill="{fill}" stroke="{border}" stroke-width="1.3"/>"#,
        e.id
    )?;
    let middle = x + w / 2.0;
    for (i, (class, text)) in lines(e).into_iter().enumerate() {
        let base = y + 18.0 + 15.0 * i as f64;
        writeln!(svg, r#"<text class="{class}" x="{middle:.1}" y="{base:.1}">{}</text>"#, Escaped(&text))?;
    }
    if let Some(time) = e.time {
        let share = time.as_secs_f64() / longest.as_secs_f64().max(f64::MIN_POSITIVE);
        let (x, y, room) = (x + 10.0, y + h - 10.0, w - 20.0);
        writeln!(svg, r##"<rect x="{x:.1}" y="{y:.1}" width="{room:.1}" height="4" rx="2" fill="#ffffff"/>"##)?;
        let length = (room * share).max(1.0);
        writeln!(svg, r#"<rect x="{x:.1}" y="{y:.1}" width="{length:.1}" height="4" rx="2" fill="{border}"/>"#)?;
    }
    svg.push_str("</g>\n");
    Ok(())
}

/// What is shown when one points at a box.
fn tip(e: &TapeEntry) -> String {
    let inputs: Vec<String> = e.inputs.iter().map(u64::to_string).collect();
    let from = if inputs.is_empty() { String::new() } else { format!(" of {}", inputs.join(", ")) };
    let cost = match (e.time, e.kept) {
        (Some(time), Some(kept)) => format!("\n{}, keeps {}", table::time(time), table::bytes(kept)),
        _ => String::new(),
    };
    let attributes = if e.attributes.is_empty() { String::new() } else { format!("\n{}", e.attributes) };
    format!("{}: {}{from}{attributes}\nshape {}, {}{cost}\n{}", e.id, e.label(), e.shape, table::bytes(e.bytes), e.at)
}
