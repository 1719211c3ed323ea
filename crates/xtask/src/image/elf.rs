//! Tells a program that needs nothing but a kernel from one that asks for a dynamic loader.

use anyhow::{Context as _, bail, ensure};

/// The type of the program header that names the dynamic loader.
const PT_INTERP: u32 = 3;

/// Fails unless `program` is a 64-bit little-endian ELF file without an interpreter.
pub(super) fn ensure_static(program: &[u8]) -> anyhow::Result<()> {
    ensure!(program.starts_with(b"\x7fELF"), "this is no ELF file");
    let class_and_order = program.get(4..6).context("a truncated ELF header")?;
    ensure!(
        class_and_order == [2, 1],
        "this is no 64-bit little-endian ELF file"
    );
    let table = usize::try_from(u64::from_le_bytes(array(program, 32)?))?;
    let size = usize::from(u16::from_le_bytes(array(program, 54)?));
    let count = usize::from(u16::from_le_bytes(array(program, 56)?));
    ensure!(count > 0, "the ELF file has no program headers");
    for number in 0..count {
        if u32::from_le_bytes(array(program, table + number * size)?) == PT_INTERP {
            bail!("it is linked dynamically: it names a program interpreter");
        }
    }
    Ok(())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> anyhow::Result<[u8; N]> {
    let found = bytes
        .get(at..at + N)
        .and_then(|found| found.try_into().ok());
    found.with_context(|| format!("the ELF file ends before offset {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with program headers of these types.
    fn program(types: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&u16::try_from(types.len()).unwrap().to_le_bytes());
        for kind in types {
            file.extend(kind.to_le_bytes());
            file.extend([0; 52]);
        }
        file
    }

    #[test]
    fn a_program_without_an_interpreter_is_static() {
        assert!(ensure_static(&program(&[1, 1, 2])).is_ok());
    }

    #[test]
    fn an_interpreter_is_found_wherever_it_stands() {
        let error = ensure_static(&program(&[6, 1, PT_INTERP])).unwrap_err();
        assert!(error.to_string().contains("dynamically"), "{error}");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(ensure_static(b"#!/bin/sh").is_err());
        assert!(ensure_static(b"\x7fELF").is_err());
        assert!(ensure_static(&program(&[])).is_err());
        assert!(ensure_static(&program(&[1, 1])[..100]).is_err());
    }

    #[test]
    fn this_test_is_linked_dynamically() {
        let me = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(ensure_static(&me).is_err());
    }
}
