#!/usr/bin/env bash
# How long a user waits: a crate outside of the workspace that depends on Gradus by path is built, one line of it is edited, and it is
# built and run again. Seconds of wall time; the best of three where nothing else is said.
#
#   benches/edit_run.sh                 # everything, some minutes
#   benches/edit_run.sh release         # release builds only
#   KEEP=1 benches/edit_run.sh          # leaves the crate in target/edit_run
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD what=${1:-all} dir=$PWD/target/edit_run
rm -rf "$dir" && mkdir -p "$dir/src"
# Cargo's own settings, as a user has them.
unset CARGO_INCREMENTAL CARGO_PROFILE_DEV_DEBUG CARGO_TARGET_DIR RUSTFLAGS

cat > "$dir/Cargo.toml" <<TOML
[package]
name = "edit_run"
version = "0.1.0"
edition = "2024"

[dependencies]
gradus = { path = "$root" }
clap = { version = "4.5", features = ["derive"] }

[workspace]
TOML
cp Cargo.lock "$dir/Cargo.lock"

cat > "$dir/src/main.rs" <<'RUST'
use gradus::prelude::*;

#[derive(Module)]
struct Highway<T: Float = f32> {
    gate: Linear<T>,
    body: Linear<T>,
}

impl<T: Float> Layer<T> for Highway<T> {
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let t = self.gate.forward(x, mode).sigmoid();
        let h = self.body.forward(x, mode).relu();
        &t * h + (1.0 - &t) * x
    }
}

fn main() {
    let rng = &mut Rng::seed(0);
    let highway = Highway { gate: Linear::new(64, 64, rng), body: Linear::new(64, 64, rng) };
    let mut net: Sequential = Sequential::new().add(Linear::new(2, 64, rng)).add(highway).add(Linear::new(64, 2, rng));
    let mut opt = Adam::new(0.01);
    let x = Tensor::uniform([256, 2], -1.0, 1.0, rng);
    let labels = x.square().sum(1).gt(0.6).to_num::<i64>();
    let start = std::time::Instant::now();
    for _ in 0..200 {
        let loss = net.forward(&x.clone().into(), &mut Mode::Train(rng)).cross_entropy(&labels);
        opt.step(&mut net, loss.backward()).unwrap();
    }
    println!("{:.3}", start.elapsed().as_secs_f64() * 5.0); // milliseconds a step
}
RUST

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
best() { sort -n | head -1; }
row() { printf '%-62s %s\n' "$1" "$2"; }

# Edits one line, so that everything that is generic in it is compiled again.
edit() { sed -i -E "s/seed\(([0-9]+)\)/seed($RANDOM)/" "$1"; }

# rebuilds FILE COMMAND..: the best of three builds after an edit
rebuilds() {
  local file=$1 start; shift
  for _ in 1 2 3; do
    edit "$file"
    start=$(now); (cd "$dir" && "$@" >/dev/null 2>&1); since "$start"; echo
  done | best
}

row 'seconds, on' "$(nproc) cores"
if [[ $what != debug ]]; then
  start=$(now); (cd "$dir" && cargo build --release >/dev/null 2>&1)
  row 'first release build of a crate that depends on gradus' "$(since "$start")"
  row 'release rebuild of the 25-line program' "$(rebuilds "$dir/src/main.rs" cargo build --release)"
  release_step=$(for _ in 1 2 3; do "$dir/target/release/edit_run"; done | best)
  row 'its step in release (ms)' "$release_step"
  mv "$dir/src/main.rs" "$dir/program.rs" && cp examples/mnist.rs "$dir/src/main.rs"
  (cd "$dir" && cargo build --release >/dev/null 2>&1)
  row 'release rebuild of examples/mnist' "$(rebuilds "$dir/src/main.rs" cargo build --release)"
  mv "$dir/program.rs" "$dir/src/main.rs"
fi
if [[ $what != release ]]; then
  # The profile that the README recommends.
  printf '\n[profile.dev]\nopt-level = 1\n\n[profile.dev.package."*"]\nopt-level = 3\n' >> "$dir/Cargo.toml"
  start=$(now); (cd "$dir" && cargo build >/dev/null 2>&1)
  row 'first debug build, with the profile of the README' "$(since "$start")"
  row 'debug rebuild of the 25-line program' "$(rebuilds "$dir/src/main.rs" cargo build)"
  row 'its step in debug (ms)' "$(for _ in 1 2 3; do "$dir/target/debug/edit_run"; done | best)"
fi
[[ ${KEEP:-} ]] || rm -rf "$dir"
