#!/usr/bin/env bash
# Packages the workspace, and builds and runs a program outside of the checkout that has nothing of it but the packages: the README's
# network learns from MNIST. Offline: the crates of others come from cargo's cache.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_NET_OFFLINE=true CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# Always the same folder for a checkout: cargo builds for another path into other files.
outside=${TMPDIR:-/tmp}/gradus-outside-$(cksum <<<"$PWD" | cut -d ' ' -f 1)
trap 'rm -rf "$outside"' EXIT
rm -rf "$outside"
mkdir -p "$outside/digits/src/bin"

rm -f "$CARGO_TARGET_DIR"/package/gradus*.crate
# The program below builds what is packaged; no need to build it twice.
cargo package --workspace --allow-dirty --no-verify --quiet
for package in "$CARGO_TARGET_DIR"/package/gradus*-"$version".crate; do
  # The limit of crates.io.
  if (($(wc -c <"$package") > 10 * 1024 * 1024)); then
    echo "$package is larger than 10 MiB" >&2
    exit 1
  fi
  # Touched, as every package's files are of 2006, and cargo would find nothing changed.
  tar -xzmf "$package" -C "$outside"
done

{
  cat <<END
[package]
name = "digits"
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[dependencies]
gradus = { version = "$version", features = ["mnist"] }

[profile.dev]
opt-level = 1
[profile.dev.package."*"]
debug = false

[patch.crates-io]
END
  for crate in "$outside"/gradus*; do
    name=$(basename "$crate")
    echo "${name%-"$version"} = { path = \"$crate\" }"
  done
} >"$outside/digits/Cargo.toml"
# The versions that cargo has in its cache.
cp Cargo.lock "$outside/digits/"
# The README's program as it stands there, and its network with its optimiser in a shorter one that measures what it learnt.
awk '/^```/ { if (text ~ /fn main/) { printf "%s", text; exit } inside = /^```rust/; text = ""; next } inside { text = text $0 "\n" }' \
  README.md >"$outside/digits/src/bin/readme.rs"
{
  cat <<'END'
use gradus::prelude::*;

fn accuracy(net: &Sequential, (images, labels): (Tensor, Tensor<i64>)) -> f64 {
    let output = net.forward(&images.into(), &mut Mode::Eval);
    gradus::nn::metrics::accuracy(output.value(), &labels)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
END
  sed -n '/let rng/,/let mut opt/p' "$outside/digits/src/bin/readme.rs"
  cat <<'END'
    let mnist = Mnist::embedded()?;
    let unseen = || mnist.test().batches(1000).next().expect("10,000 images");
    let before = accuracy(&net, unseen()?);
    for batch in mnist.train().batches(128).shuffle(rng).take(40) {
        let (images, labels) = batch?;
        let loss = net.forward(&images.into(), &mut Mode::Train(rng)).cross_entropy(&labels);
        opt.step(&mut net, loss.backward())?;
    }
    let after = accuracy(&net, unseen()?);
    println!("accuracy on 1,000 test images: {before:.3} before, {after:.3} after 40 steps");
    assert!(before < 0.3 && after > 0.75);
    Ok(())
}
END
} >"$outside/digits/src/main.rs"
cd "$outside/digits"
cargo build --quiet
cargo run --quiet --bin digits
