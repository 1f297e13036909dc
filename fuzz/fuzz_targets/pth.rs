#![no_main]

use gradus_data::pth;
use gradus_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x.pth", bytes, |path| {
        let _ = pth::read(path);
    });
});
