#![no_main]

use gradus_data::hdf5;
use gradus_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x.h5", bytes, |path| {
        let _ = hdf5::read(path);
    });
});
