#![no_main]

use gradus_data::Csv;
use gradus_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x.csv", bytes, |path| {
        let _ = Csv::new(path).read_classes::<f32>();
        let _ = Csv::new(path).header(false).read_inputs::<i64>();
    });
});
