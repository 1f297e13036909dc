#!/usr/bin/env bash
# The tests of the crates that `unsafe` code lies under, with AddressSanitizer, at each instruction set that kernels are
# compiled for. Takes a nightly toolchain, and about half an hour on two cores; a nightly job runs it:
#
#   tests/sanitize.sh                   # tensor and autograd
#   tests/sanitize.sh gradus-tensor     # one of them
#   TOOLCHAIN=nightly-2026-11-01 tests/sanitize.sh
set -euo pipefail
cd "$(dirname "$0")/.."
toolchain=${TOOLCHAIN:-nightly}
target=$(rustc "+$toolchain" -vV | sed -n 's/^host: //p')
packages=("$@")
[ $# -gt 0 ] || packages=(gradus-tensor gradus-autograd)
# Optimised as the tests are, with their debug assertions. Leaks are what pools are made of, and tests ask for more than there is.
export RUSTFLAGS='-Zsanitizer=address' CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_INCREMENTAL=0
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:allocator_may_return_null=1} CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/sanitize}
for simd in avx512 avx2 portable; do
  for package in "${packages[@]}"; do
    printf '\n== %s, %s (%ss)\n' "$package" "$simd" "$SECONDS"
    # With a target, build scripts and macros are built without the sanitizer. Examples in the documentation are not run.
    GRADUS_SIMD=$simd cargo "+$toolchain" test -p "$package" --target "$target" --lib --tests
  done
done
