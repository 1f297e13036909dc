#![no_main]

use gradus_data::safetensors;
use gradus_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x.safetensors", bytes, |path| {
        let _ = safetensors::read(path);
    });
});
