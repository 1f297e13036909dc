//! Files of weights, held against what PyTorch says is in them (`fixtures/make_weights.py`).

use gradus_data::{Array, MemoryLimit, pth, safetensors};
use gradus_tensor::{DType, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// What PyTorch says: shapes and values.
fn expected() -> BTreeMap<String, Tensor<f64>> {
    let text = std::fs::read_to_string(fixture("state.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = |v: &serde_json::Value| v.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<_>>();
    let entry = |(name, v): (&String, &serde_json::Value)| {
        let shape: Vec<usize> = list(&v["shape"]).into_iter().map(|n| n as usize).collect();
        (name.clone(), Tensor::from_vec(list(&v["values"]), shape))
    };
    json.as_object().unwrap().iter().map(entry).collect()
}

fn assert_state(found: &BTreeMap<String, Array>) {
    let found: BTreeMap<String, Tensor<f64>> = found.iter().map(|(name, array)| (name.clone(), array.cast())).collect();
    assert_eq!(found, expected());
}

#[test]
fn both_forms_of_pytorchs_files_hold_what_it_stored() {
    for name in ["state.pth", "state_stream.pth"] {
        let state = pth::read(fixture(name)).unwrap();
        assert_state(&state);
        for (entry, dtype) in [
            ("conv.weight", DType::F32),
            ("double", DType::F64),
            ("half", DType::F32),
            ("brain", DType::F32),
            ("long", DType::I64),
            ("int", DType::I32),
            ("short", DType::I32),
            ("char", DType::I32),
            ("byte", DType::U8),
            ("bool", DType::Bool),
        ] {
            assert_eq!(state[entry].dtype(), dtype, "{name}: {entry}");
        }
    }
}

/// The zip reader, left to look for where the archive begins, finds another place in this one.
#[test]
fn an_archive_whose_start_is_hard_to_find_is_read_from_its_start() {
    let state = pth::read(fixture("twenty_one_characters.pth")).unwrap();
    assert_eq!(state["w"].cast::<f64>().to_vec(), [0.0, 1.0, 2.0]);
}

#[test]
fn safetensors_of_every_type_that_is_read() {
    let (state, metadata) = safetensors::read(fixture("state.safetensors")).unwrap();
    assert_state(&state);
    assert_eq!(metadata["format"], "pt");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("again.safetensors");
    safetensors::write(&path, &state, &metadata).unwrap();
    assert_eq!(safetensors::read(&path).unwrap(), (state, metadata));
}

#[test]
fn dictionaries_within_dictionaries_are_joined() {
    let all = pth::read(fixture("checkpoint.pth")).unwrap();
    assert_eq!(all["extra.0"], Tensor::<f32>::ones([2]).into());
    let state = all.iter().filter_map(|(name, array)| Some((name.strip_prefix("state_dict.")?.to_owned(), array.clone())));
    assert_state(&state.collect());
    assert_eq!(all.len(), expected().len() + 1);
}

#[test]
fn what_a_file_must_not_ask_for_is_named() {
    for (name, reason) in [
        ("evil.pth", "asks for `__builtin__.print`"),
        ("evil_stream.pth", "asks for `__builtin__.print`"),
        ("module.pth", "asks for `torch.nn.modules.linear.Linear`"),
        ("tensor.pth", "holds no dictionary; wanted a `state_dict`"),
        ("f32.npy", "not a file of PyTorch"),
        ("stored.npz", "no entry `data.pkl`"),
    ] {
        let text = pth::read(fixture(name)).unwrap_err().to_string();
        assert!(text.contains(name) && text.contains(reason), "{name}: {text}");
    }
    assert!(pth::read(fixture("none.pth")).unwrap_err().to_string().contains("cannot open"));
    assert!(pth::read(fixture("")).is_err(), "a folder");
}

/// A stream of pickles around a program of one's own, with a storage `0` of two zeros for those that name one.
fn stream(program: &[u8]) -> Vec<u8> {
    let start = std::fs::read(fixture("state_stream.pth")).unwrap();
    let header = start.windows(2).enumerate().filter(|(_, w)| *w == b"\x80\x02").map(|(i, _)| i).nth(3).unwrap();
    let (keys, storage): (&[u8], &[u8]) = match program.windows(12).any(|w| w == b"FloatStorage") {
        true => (b"\x80\x02]X\x01\x00\x00\x000a.", &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        false => (b"\x80\x02].", &[]),
    };
    [&start[..header], program, keys, storage].concat()
}

/// A tensor of two floats' storage with this offset, shape and strides, as a program.
fn tensor(offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 8] = [
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n",
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02Nt",
        b"Q",
        offset,
        shape,
        strides,
        b"\x89N",
        b"tRs.",
    ];
    parts.concat()
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pth");
    let read = |program: &[u8]| {
        std::fs::write(&path, stream(program)).unwrap();
        pth::read(&path).map_err(|e| e.to_string())
    };
    let sound = read(&tensor(b"K\x00", b"K\x02\x85", b"K\x01\x85")).unwrap();
    assert_eq!(sound["w"], Tensor::<f32>::zeros([2]).into());
    let large = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85";
    for (program, reason) in [
        (tensor(b"K\x01", b"K\x02\x85", b"K\x01\x85"), "reaches beyond the 2 elements of its storage"),
        (tensor(b"K\x00", b"K\x03\x85", b"K\x01\x85"), "reaches beyond"),
        (tensor(b"K\x00", b"K\x02\x85", large), "reaches beyond"),
        (tensor(b"K\x00", large, b"K\x00\x85"), "too large"),
        (
            tensor(b"K\x00", b"J\x00\x00\x00\x7f\x85", b"K\x00\x85"),
            "a copy of shape [2130706432], 8522825728 bytes: reading this file takes more",
        ),
        (tensor(b"J\xff\xff\xff\xff", b"K\x02\x85", b"K\x01\x85"), "offset -1"),
        (tensor(b"K\x00", b"J\xff\xff\xff\xff\x85", b"K\x01\x85"), "no count"),
        (tensor(b"K\x00", b"K\x01K\x02\x86", b"K\x01\x85"), "with strides"),
        (b"\x80\x02}X\x01\x00\x00\x00wh\x07s.".to_vec(), "nothing is remembered under 7"),
        (b"\x80\x02cos\nsystem\n".to_vec(), "asks for `os.system`"),
        (b"\x80\x02\x8c\x02os\x8c\x06system\x93".to_vec(), "asks for `os.system`"),
        (b"\x80\x02R".to_vec(), "too little on the stack"),
        (b"\x80\x02u".to_vec(), "no mark"),
        (b"\x80\x02}(Nu".to_vec(), "a key without a value"),
        (b"\x80\x02i".to_vec(), "the pickle instruction `i`"),
        (b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(), "are announced, but only"),
    ] {
        let text = read(&program).unwrap_err();
        assert!(text.contains(reason), "{reason}: {text}");
    }
}

/// A dictionary that holds itself, and one that is nested a million deep.
#[test]
fn nesting_costs_no_stack() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pth");
    std::fs::write(&path, stream(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.")).unwrap();
    assert!(pth::read(&path).unwrap().is_empty());
    let deep =
        [b"\x80\x02".to_vec(), b"}X\x00\x00\x00\x00".repeat(1_000_000), b"}".to_vec(), b"s".repeat(1_000_000), b".".to_vec()];
    std::fs::write(&path, stream(&deep.concat())).unwrap();
    assert!(pth::read(&path).unwrap_err().to_string().contains("a name of"));
    let tuples = [b"\x80\x02}X\x01\x00\x00\x00a)".to_vec(), b"\x85".repeat(1_000_000), b"s.".to_vec()];
    std::fs::write(&path, stream(&tuples.concat())).unwrap();
    assert!(pth::read(&path).unwrap_err().to_string().contains("MemoryLimit::bytes"));
    assert!(pth::read_with(&path, MemoryLimit::unlimited()).unwrap().is_empty());
}
