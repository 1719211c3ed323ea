//! The identity file and the pin.

use dmq_log::DataDir;

use super::directory::{self, formatted, root};
use crate::fuzz::{Answer, Form, Target};

/// The decoders of the two small files.
pub(super) const TARGET: Target = Target {
    name: "identity",
    form: Form::Binary,
    run,
    seeds,
    memory_base: 1 << 20,
    memory_factor: 64,
};

/// The first byte says which file, and whether its checksum is put right. A directory that opens has a log that opens
/// or is refused; a pin that is read is the one that stays.
fn run(input: &[u8]) -> Answer {
    let Some((what, rest)) = input.split_first() else {
        return Answer::refused(&"nothing");
    };
    let name = if what & 2 == 0 { "identity" } else { "pin" };
    let mut bytes = rest.to_vec();
    if what & 1 == 0 {
        let crc = crc32c::crc32c(&bytes).to_le_bytes();
        bytes.extend(crc);
    }
    let disk = formatted();
    if name == "pin" {
        let pinned = DataDir::open(&disk, root()).and_then(|dir| dir.pin([7; 32]));
        assert!(pinned.is_ok(), "{pinned:?}");
    }
    disk.kill();
    disk.damage(&root().join(name), |content| content.clone_from(&bytes));
    if name == "identity" {
        return match directory::open(&disk) {
            Ok((_, recovered)) => Answer::taken(&recovered.start),
            Err(reason) => Answer::refused(&reason),
        };
    }
    let pinned = DataDir::open(&disk, root()).and_then(|dir| dir.pinned());
    match pinned {
        Ok(pinned) => {
            let digest = pinned.unwrap_or_else(|| panic!("a pin that is there is read or refused"));
            assert_eq!(bytes[8..40], digest, "the pin that is in the file");
            Answer::taken(&"pin")
        }
        Err(error) => Answer::refused(&error),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let identity = formatted()
        .contents(&root().join("identity"))
        .unwrap_or_default();
    let without_checksum = &identity[..identity.len() - 4];
    let pin = [b"DMQPIN\0\0".as_slice(), &[9; 32]].concat();
    vec![
        [&[0], without_checksum].concat(),
        [&[1], identity.as_slice()].concat(),
        [&[2], pin.as_slice()].concat(),
    ]
}
