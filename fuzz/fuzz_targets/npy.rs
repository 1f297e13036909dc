#![no_main]

use gradus_data::npy;
use gradus_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x.npy", bytes, |path| {
        let _ = npy::read_any(path);
    });
});
