#![no_main]

use gradus_data::idx;
use gradus_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x-ubyte", bytes, |path| {
        let _ = idx::read::<u8>(path);
        let _ = idx::read::<f32>(path);
    });
});
