//! The header of an `.npy` file: a Python dictionary of three fixed keys.

use crate::element::ElementType;
use crate::stored::Endian;
use gradus_tensor::{DType, Shape};

/// NumPy's own limit.
const MOST_AXES: usize = 64;

pub(super) struct Header {
    pub of: ElementType,
    pub order: Endian,
    pub fortran: bool,
    pub shape: Shape,
}

/// What is wrong, and at which byte of the header.
type Wrong = (usize, String);

impl Header {
    pub fn parse(text: &[u8]) -> Result<Self, Wrong> {
        let mut p = Parser { text, at: 0 };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        p.expect(b'{')?;
        while !p.found(b'}') {
            let at = p.at;
            match p.string()? {
                "descr" => {
                    p.expect(b':')?;
                    descr = Some(p.descr()?);
                }
                "fortran_order" => {
                    p.expect(b':')?;
                    fortran = Some(p.truth()?);
                }
                "shape" => {
                    p.expect(b':')?;
                    shape = Some(p.shape()?);
                }
                other => return Err((at, format!("the header's key `{other}`; known are descr, fortran_order and shape"))),
            }
            if !p.found(b',') {
                p.expect(b'}')?;
                break;
            }
        }
        p.skip_space();
        if p.at != text.len() {
            return Err(p.wrong("the end of the header"));
        }
        let missing = |key: &str| (0, format!("the header has no key `{key}`"));
        let (of, order) = descr.ok_or_else(|| missing("descr"))?;
        let fortran = fortran.ok_or_else(|| missing("fortran_order"))?;
        let shape = shape.ok_or_else(|| missing("shape"))?;
        Ok(Self { of, order, fortran, shape })
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn wrong(&self, wanted: &str) -> Wrong {
        let found = match self.text.get(self.at) {
            Some(&b) => format!("`{}`", b.escape_ascii()),
            None => "the end".into(),
        };
        (self.at, format!("the header cannot be understood: found {found}, wanted {wanted}"))
    }

    fn skip_space(&mut self) {
        self.at += self.text[self.at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    }

    /// Whether `byte` comes next; if so, it is passed.
    fn found(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Wrong> {
        if self.found(byte) { Ok(()) } else { Err(self.wrong(&format!("`{}`", char::from(byte)))) }
    }

    /// The bytes from here on that `belongs` accepts.
    fn run(&mut self, belongs: impl Fn(&u8) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let n = rest.iter().take_while(|b| belongs(b)).count();
        self.at += n;
        std::str::from_utf8(&rest[..n]).unwrap_or("\u{fffd}")
    }

    /// A quoted string without escapes.
    fn string(&mut self) -> Result<&'a str, Wrong> {
        let quote = if self.found(b'\'') {
            b'\''
        } else if self.found(b'"') {
            b'"'
        } else {
            return Err(self.wrong("a quoted string"));
        };
        let string = self.run(|&b| b != quote);
        self.expect(quote)?;
        Ok(string)
    }

    fn descr(&mut self) -> Result<(ElementType, Endian), Wrong> {
        self.skip_space();
        let at = self.at;
        if self.found(b'[') {
            return Err((at, "the elements are records; wanted plain numbers or truth values".into()));
        }
        let descr = self.string()?;
        let order = if descr.starts_with('>') { Endian::Big } else { Endian::Little };
        let of = match descr.strip_prefix(['<', '>', '|', '=']).unwrap_or(descr) {
            "f8" => ElementType::F64,
            "f4" => ElementType::F32,
            "f2" => ElementType::F16,
            "i8" => ElementType::I64,
            "i4" => ElementType::I32,
            "i2" => ElementType::I16,
            "i1" => ElementType::I8,
            "u4" => ElementType::U32,
            "u2" => ElementType::U16,
            "u1" => ElementType::U8,
            "b1" | "?" => ElementType::Bool,
            _ => {
                let known = "f2 to f8, i1 to i8, u1 to u4 and b1";
                return Err((at, format!("elements of type `{descr}`; read are {known}: convert with `astype` before saving")));
            }
        };
        Ok((of, order))
    }

    fn truth(&mut self) -> Result<bool, Wrong> {
        self.skip_space();
        let at = self.at;
        match self.run(u8::is_ascii_alphabetic) {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => {
                self.at = at;
                Err(self.wrong("True or False"))
            }
        }
    }

    /// A tuple of sizes: `()`, `(3,)`, `(3, 4)`.
    fn shape(&mut self) -> Result<Shape, Wrong> {
        let mut shape = Shape::default();
        self.expect(b'(')?;
        while !self.found(b')') {
            self.skip_space();
            let at = self.at;
            let digits = self.run(u8::is_ascii_digit);
            if digits.is_empty() {
                return Err(self.wrong("a size or `)`"));
            }
            let size = digits.parse().map_err(|_| (at, format!("the size {digits} is too large for any memory")))?;
            if shape.rank() == MOST_AXES {
                return Err((at, format!("more than {MOST_AXES} axes; NumPy has no such arrays")));
            }
            shape.push(size);
            // Python 2 wrote long integers as `3L`.
            self.found(b'L');
            if !self.found(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(shape)
    }
}

/// The header of a row-major array, padded as NumPy pads it.
pub(super) fn text(dtype: DType, shape: &Shape) -> String {
    let descr = match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
    };
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.rank() == 1 { "," } else { "" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", sizes.join(", "));
    // NumPy leaves room for the first size to grow to 21 digits while rows are appended, then aligns the
    // elements to 64 bytes; the 10 bytes before the header and the line's end count.
    let room = sizes.first().map_or(0, |first| 21usize.saturating_sub(first.len()));
    let length = (10 + text.len() + room + 1).next_multiple_of(64) - 10;
    text.extend(std::iter::repeat_n(' ', length - 1 - text.len()));
    text.push('\n');
    text
}
