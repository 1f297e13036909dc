#![no_main]

use gradus_data::Cifar10;
use gradus_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("data_batch_1.bin", bytes, |path| {
        let _ = Cifar10::open(path.parent().expect("it lies in a folder"));
    });
});
