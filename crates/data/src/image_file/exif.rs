//! The orientation in an image's EXIF data.

/// The number of the entry.
const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;

/// The orientation, 1 to 8, in a TIFF structure: `II` or `MM` for the order of bytes, 42, and where a table of entries of 12
/// bytes lies.
pub(super) fn orientation(exif: &[u8]) -> Option<u8> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match exif.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = exif.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    if u16_at(2)? != 42 {
        return None;
    }
    let table = u32_at(4)? as usize;
    let entries = table.checked_add(2)?;
    let of = |i: usize| entries.checked_add(12 * i);
    let found = (0..usize::from(u16_at(table)?)).find(|&i| of(i).and_then(u16_at) == Some(ORIENTATION))?;
    let at = of(found)?;
    // A number of 16 bits lies at the start of the 4 bytes for the value.
    let value = if u16_at(at + 2)? == SHORT { u32::from(u16_at(at + 8)?) } else { u32_at(at + 8)? };
    u8::try_from(value).ok().filter(|o| (1..=8).contains(o))
}

#[cfg(test)]
mod tests {
    use super::orientation;

    fn exif(order: &[u8; 2], kind: u16, value: u16) -> Vec<u8> {
        let n = |v: u16| if order == b"II" { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u16| if order == b"II" { [n(v), n(0)].concat() } else { [n(0), n(v)].concat() };
        // Two entries: another one, and the orientation.
        let entry = |tag, value: Vec<u8>| [n(tag).to_vec(), n(kind).to_vec(), long(1), value].concat();
        let value = if kind == 3 { [n(value), n(0)].concat() } else { long(value) };
        [order.to_vec(), n(42).to_vec(), long(8), n(2).to_vec(), entry(0x0100, long(7)), entry(0x0112, value), long(0)].concat()
    }

    #[test]
    fn in_either_order_and_as_short_or_long() {
        for value in 1..=8 {
            for (order, kind) in [(b"II", 3), (b"MM", 3), (b"II", 4), (b"MM", 4)] {
                assert_eq!(orientation(&exif(order, kind, value)), Some(value as u8));
            }
        }
        assert_eq!(orientation(&exif(b"II", 3, 0)), None);
        assert_eq!(orientation(&exif(b"MM", 3, 9)), None);
        let whole = exif(b"MM", 3, 6);
        assert_eq!(orientation(&[b"Exif\0\0", &whole[..]].concat()), Some(6));
        assert!((0..whole.len() - 8).all(|n| orientation(&whole[..n]).is_none()), "cut off");
        let far = [&b"II*\0"[..], &u32::MAX.to_le_bytes()].concat();
        assert_eq!(orientation(&far), None);
    }
}
