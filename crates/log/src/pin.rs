//! The pin (DESIGN 6.1): which `quorum:initialize` body an uninitialised node agreed to.
//!
//! ```text
//! pin:  magic "DMQPIN" and two zeros | digest 32 bytes | CRC32C of all before u32
//! ```

use std::fmt::Write;
use std::path::Path;

use crate::data_dir::DataDirError;
use crate::disk::{self, Disk};

const MAGIC: &[u8; 8] = b"DMQPIN\0\0";

/// Makes the pin durable.
pub(crate) fn write<D: Disk>(disk: &D, path: &Path, digest: [u8; 32]) -> Result<(), DataDirError> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&digest);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    disk::write_atomically(disk, path, &bytes, ["pin-synced", "pin-renamed"])
        .map_err(|e| DataDirError::io("write", path, &e))
}

/// Reads the pin, if there is one.
pub(crate) fn read<D: Disk>(disk: &D, path: &Path) -> Result<Option<[u8; 32]>, DataDirError> {
    let io = |error| DataDirError::io("read", path, &error);
    if !disk::exists(disk, path).map_err(io)? {
        return Ok(None);
    }
    let bytes = disk::read_all(disk, path).map_err(io)?;
    decode(&bytes)
        .map(Some)
        .ok_or_else(|| DataDirError::Damaged { path: path.into() })
}

fn decode(bytes: &[u8]) -> Option<[u8; 32]> {
    let (checked, crc) = bytes.split_last_chunk::<4>()?;
    let digest = checked.strip_prefix(MAGIC)?.try_into().ok()?;
    (crc32c::crc32c(checked) == u32::from_le_bytes(*crc)).then_some(digest)
}

/// A digest for people.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
