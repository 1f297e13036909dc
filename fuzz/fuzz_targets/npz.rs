#![no_main]

use gradus_data::npz::Npz;
use gradus_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x.npz", bytes, |path| {
        let Ok(mut archive) = Npz::open(path) else { return };
        let names: Vec<String> = archive.names().into_iter().map(String::from).collect();
        for name in names {
            let _ = archive.read_any(&name);
        }
    });
});
