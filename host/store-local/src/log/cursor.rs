//! Reading little-endian fields one after the other, never past the end.

use super::fault::FrameFault;

/// What is left to read of some bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], FrameFault> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(SHORT)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameFault> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FrameFault> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FrameFault> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FrameFault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FrameFault> {
        self.array().map(u64::from_le_bytes)
    }

    /// Bytes after a length of 32 bits.
    pub(crate) fn bytes_32(&mut self) -> Result<&'a [u8], FrameFault> {
        let count = usize::try_from(self.u32()?).map_err(|_| SHORT)?;
        self.bytes(count)
    }

    /// Text after a length of 8 bits.
    pub(crate) fn text_8(&mut self) -> Result<&'a str, FrameFault> {
        let count = usize::from(self.u8()?);
        self.text(count)
    }

    /// Text after a length of 16 bits.
    pub(crate) fn text_16(&mut self) -> Result<&'a str, FrameFault> {
        let count = usize::from(self.u16()?);
        self.text(count)
    }

    /// Bytes after a length of 8 bits.
    pub(crate) fn bytes_8(&mut self) -> Result<&'a [u8], FrameFault> {
        let count = usize::from(self.u8()?);
        self.bytes(count)
    }

    /// Bytes after a length of 16 bits.
    pub(crate) fn bytes_16(&mut self) -> Result<&'a [u8], FrameFault> {
        let count = usize::from(self.u16()?);
        self.bytes(count)
    }

    fn text(&mut self, count: usize) -> Result<&'a str, FrameFault> {
        text_of(self.bytes(count)?)
    }
}

/// The text that `bytes` are.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, FrameFault> {
    std::str::from_utf8(bytes).map_err(|_| FrameFault::Malformed { what: "a text is not UTF-8" })
}

const SHORT: FrameFault = FrameFault::Malformed { what: "a field reaches past the end" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_and_refuses_to_read_past_the_end() {
        // Guards decoding: a wrong length is an error, never other bytes.
        let mut cursor = Cursor::new(&[1, 2, 0, 3, 0, 0, 0, 2, b'h', b'i', 9, b'x']);
        assert_eq!(cursor.u8(), Ok(1));
        assert_eq!(cursor.u16(), Ok(2));
        assert_eq!(cursor.u32(), Ok(3));
        assert_eq!(cursor.text_8(), Ok("hi"));
        assert_eq!(cursor.text_8(), Err(SHORT));
        assert_eq!(cursor.u64(), Err(SHORT));
    }
}
