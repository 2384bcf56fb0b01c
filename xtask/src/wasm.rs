//! Just enough of the WebAssembly binary format to check a module and to strip it.
//!
//! A module is a header of 8 bytes and a row of sections: one byte for the kind, a length (LEB128), the content. Names,
//! debug and producer data are "custom" sections, which a running module never reads.

use anyhow::{Context, Result, bail};

const HEADER: &[u8] = b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;
const EXPORT: u8 = 7;

/// The names of everything the module exports.
pub fn exports(module: &[u8]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for section in sections(module)? {
        if section.kind != EXPORT {
            continue;
        }
        let mut rest = section.content;
        let count = length(&mut rest).context("reading the number of exports")?;
        for _ in 0..count {
            let size = length(&mut rest).context("reading the length of an export's name")?;
            let name = take(&mut rest, size).context("reading the name of an export")?;
            names.push(String::from_utf8(name.to_vec()).context("an export's name is not text")?);
            take(&mut rest, 1).context("reading the kind of an export")?;
            length(&mut rest).context("reading the index of an export")?;
        }
    }
    Ok(names)
}

/// Does the text stand anywhere in the module? Function names stand in the name section, so ask before stripping.
pub fn mentions(module: &[u8], text: &str) -> bool {
    module
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Does the module still carry the names of its functions?
pub fn has_names(module: &[u8]) -> Result<bool> {
    // A custom section begins with the length of its name and the name.
    Ok(sections(module)?
        .iter()
        .any(|section| section.kind == CUSTOM && section.content.starts_with(b"\x04name")))
}

/// The module without its custom sections.
pub fn strip(module: &[u8]) -> Result<Vec<u8>> {
    let mut stripped = HEADER.to_vec();
    for section in sections(module)? {
        if section.kind != CUSTOM {
            stripped.extend_from_slice(section.whole);
        }
    }
    Ok(stripped)
}

struct Section<'module> {
    kind: u8,
    content: &'module [u8],
    whole: &'module [u8],
}

fn sections(module: &[u8]) -> Result<Vec<Section<'_>>> {
    let Some(mut rest) = module.strip_prefix(HEADER) else {
        bail!("this is not a WebAssembly module of version 1");
    };
    let mut sections = Vec::new();
    while let Some((&kind, after_kind)) = rest.split_first() {
        let start = rest;
        rest = after_kind;
        let size = length(&mut rest).context("reading the length of a section")?;
        let content = take(&mut rest, size).context("reading a section")?;
        let whole = start
            .get(..start.len() - rest.len())
            .context("a section ends before it starts")?;
        sections.push(Section {
            kind,
            content,
            whole,
        });
    }
    Ok(sections)
}

/// Reads an unsigned LEB128 number of at most 32 bits.
fn length(rest: &mut &[u8]) -> Result<usize> {
    let mut value: u64 = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = take(rest, 1)?
            .first()
            .copied()
            .context("the module is cut off")?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).context("a length does not fit this machine");
        }
    }
    bail!("a length has more than five bytes")
}

fn take<'module>(rest: &mut &'module [u8], size: usize) -> Result<&'module [u8]> {
    let (taken, after) = rest
        .split_at_checked(size)
        .context("the module is cut off")?;
    *rest = after;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with a name section, one type section (empty) and the exports `load` and `_start`.
    fn module() -> Vec<u8> {
        let mut module = HEADER.to_vec();
        module.extend([CUSTOM, 10, 4]);
        module.extend(b"name");
        module.extend(b"hello");
        module.extend([1, 1, 0]);
        let mut exports = vec![2, 4];
        exports.extend(b"load");
        exports.extend([0, 1, 6]);
        exports.extend(b"_start");
        exports.extend([0, 0x80, 0x01]);
        // The length is padded to two bytes, as linkers do.
        module.extend([EXPORT, 0x80 | u8::try_from(exports.len()).unwrap(), 0]);
        module.extend(exports);
        module
    }

    #[test]
    fn exports_are_named() {
        assert_eq!(exports(&module()).unwrap(), ["load", "_start"]);
    }

    #[test]
    fn stripping_removes_custom_sections_and_keeps_every_other_byte() {
        let stripped = strip(&module()).unwrap();
        assert!(has_names(&module()).unwrap());
        assert!(!has_names(&stripped).unwrap());
        assert_eq!(stripped.len(), module().len() - 12);
        assert_eq!(exports(&stripped).unwrap(), ["load", "_start"]);
        assert_eq!(strip(&stripped).unwrap(), stripped);
    }

    #[test]
    fn text_is_found_before_stripping() {
        assert!(mentions(&module(), "hello"));
        assert!(!mentions(&strip(&module()).unwrap(), "hello"));
    }

    #[test]
    fn what_is_cut_off_or_no_module_is_refused() {
        assert!(sections(b"\x7fELF").is_err());
        let whole = module();
        assert!(sections(&whole[..whole.len() - 1]).is_err());
        let mut endless = HEADER.to_vec();
        endless.extend([CUSTOM, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert!(sections(&endless).is_err());
    }
}
