//! Sets of row numbers, as Roaring bitmaps (<https://github.com/RoaringBitmap/RoaringFormatSpec>), and in the short forms that rustdoc has
//! for small ones.

use std::collections::BTreeSet;

/// The bytes that are not yet read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u32 {
        self.take(1)[0].into()
    }

    fn u16(&mut self) -> u32 {
        self.u8() | self.u8() << 8
    }

    fn u32(&mut self) -> u32 {
        self.u16() | self.u16() << 16
    }
}

/// The numbers of a set. The first byte says which form it has.
pub fn read(bytes: &[u8]) -> BTreeSet<u32> {
    let mut bytes = Bytes(bytes);
    if bytes.0.is_empty() {
        return BTreeSet::new();
    }
    match bytes.u8() {
        // One number, and for each other its distance to the one before, in two bytes or in one.
        form @ (0xf1..=0xff | 0xd1..=0xdf) => {
            let mut number = bytes.u32();
            let mut numbers = BTreeSet::from([number]);
            for _ in 1..(form & 0xf) {
                number += if form > 0xf0 { bytes.u16() } else { bytes.u8() };
                numbers.insert(number);
            }
            numbers
        }
        // Consecutive numbers.
        form @ 0xe1..=0xef => {
            let first = bytes.u32();
            (first..first + (form & 0xf)).collect()
        }
        0x3b => containers(&mut bytes, true),
        0x3a => containers(&mut bytes, false),
        count @ ..0x3a => (0..count).map(|_| bytes.u32()).collect(),
        form => panic!("a bitmap of the unknown form {form:#x}"),
    }
}

/// The format of the specification, after the first byte of its cookie. A container has the numbers with the same high 16 bits.
fn containers(bytes: &mut Bytes<'_>, with_runs: bool) -> BTreeSet<u32> {
    bytes.take(1);
    let count = if with_runs {
        bytes.u16() + 1
    } else {
        bytes.u16();
        bytes.u32()
    };
    let runs = if with_runs { bytes.take(count.div_ceil(8) as usize) } else { &[] };
    let heads: Vec<(u32, u32)> = (0..count).map(|_| (bytes.u16() << 16, bytes.u16() + 1)).collect();
    if !with_runs || count >= 4 {
        bytes.take(4 * count as usize); // where each container begins
    }
    let mut numbers = BTreeSet::new();
    for (i, (high, cardinality)) in heads.into_iter().enumerate() {
        if runs.get(i / 8).is_some_and(|byte| byte >> (i % 8) & 1 == 1) {
            for _ in 0..bytes.u16() {
                let (first, more) = (bytes.u16(), bytes.u16());
                numbers.extend((first..=first + more).map(|low| high | low));
            }
        } else if cardinality >= 4096 {
            let bits = bytes.take(8192);
            numbers.extend((0..1 << 16).filter(|&low| bits[low as usize / 8] >> (low % 8) & 1 == 1).map(|low| high | low));
        } else {
            numbers.extend((0..cardinality).map(|_| high | bytes.u16()));
        }
    }
    numbers
}
