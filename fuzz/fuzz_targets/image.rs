#![no_main]

use gradus_data::read_image;
use gradus_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x.png", bytes, |path| {
        let _ = read_image(path);
    });
});
