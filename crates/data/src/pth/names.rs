//! The names that a pickle of weights may use. Nothing is ever called: they stand for tensors, or for plain data that is
//! passed over.

use crate::element::ElementType;

/// The only names that a file may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    DefaultDict,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    Size,
    /// The type of a storage's elements.
    Storage(ElementType),
    /// A type or function of plain data other than tensors: what it makes is passed over.
    Plain,
}

impl Global {
    pub fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("collections", "defaultdict") => Self::DefaultDict,
            ("torch._utils", "_rebuild_tensor") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensorV2,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch", _) => match name.strip_suffix("Storage").and_then(storage) {
                Some(of) => Self::Storage(of),
                None => is_plain_of_torch(name).then_some(Self::Plain)?,
            },
            _ => is_plain(module, name).then_some(Self::Plain)?,
        })
    }
}

fn storage(name: &str) -> Option<ElementType> {
    Some(match name {
        "Float" => ElementType::F32,
        "Double" => ElementType::F64,
        "Half" => ElementType::F16,
        "BFloat16" => ElementType::BF16,
        "Long" => ElementType::I64,
        "Int" => ElementType::I32,
        "Short" => ElementType::I16,
        "Char" => ElementType::I8,
        "Byte" => ElementType::U8,
        "Bool" => ElementType::Bool,
        _ => return None,
    })
}

/// Devices, element types (`float32`, `qint8`, `bits1x8`), and schemes of quantisation.
fn is_plain_of_torch(name: &str) -> bool {
    let types = ["float", "bfloat", "int", "uint", "complex", "bcomplex", "qint", "quint", "bits"];
    // `float8_e4m3fn`, `uint16`: a number of bits follows.
    let is_type = types.iter().any(|t| name.strip_prefix(t).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    is_type
        || matches!(
            name,
            "device"
                | "bool"
                | "per_tensor_affine"
                | "per_tensor_symmetric"
                | "per_channel_affine"
                | "per_channel_symmetric"
                | "per_channel_affine_float_qparams"
        )
}

/// Plain data of Python, its standard library and NumPy.
fn is_plain(module: &str, name: &str) -> bool {
    match module {
        "torch.serialization" => name == "_get_layout",
        "torch._utils" => {
            let formats = ["contiguous_format", "preserve_format", "channels_last", "channels_last_3d"];
            name.strip_prefix("torch.").is_some_and(|format| formats.contains(&format))
        }
        // Python 2's name, which protocol 2 uses still, and today's.
        "__builtin__" | "builtins" => matches!(
            name,
            "set"
                | "frozenset"
                | "bytes"
                | "bytearray"
                | "complex"
                | "slice"
                | "range"
                | "xrange"
                | "list"
                | "tuple"
                | "dict"
                | "int"
                | "long"
                | "float"
                | "bool"
                | "str"
                | "unicode"
                | "object"
                | "type"
                | "Ellipsis"
                | "NotImplemented"
        ),
        "_codecs" => name == "encode",
        "collections" => matches!(name, "Counter" | "deque"),
        "datetime" => matches!(name, "date" | "datetime" | "time" | "timedelta" | "timezone"),
        "decimal" => name == "Decimal",
        "fractions" => name == "Fraction",
        "uuid" => matches!(name, "UUID" | "SafeUUID"),
        "argparse" => name == "Namespace",
        "types" => name == "SimpleNamespace",
        "pathlib" | "pathlib._local" => {
            matches!(name, "Path" | "PosixPath" | "WindowsPath" | "PurePath" | "PurePosixPath" | "PureWindowsPath")
        }
        "numpy" => matches!(
            name,
            "dtype"
                | "ndarray"
                | "bool"
                | "bool_"
                | "str_"
                | "bytes_"
                | "datetime64"
                | "timedelta64"
                | "float16"
                | "float32"
                | "float64"
                | "longdouble"
                | "int8"
                | "int16"
                | "int32"
                | "int64"
                | "uint8"
                | "uint16"
                | "uint32"
                | "uint64"
                | "complex64"
                | "complex128"
        ),
        "numpy.core.multiarray" | "numpy._core.multiarray" => matches!(name, "scalar" | "_reconstruct"),
        "numpy.core.numeric" | "numpy._core.numeric" => name == "_frombuffer",
        _ => false,
    }
}
