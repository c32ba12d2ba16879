use ring::{digest, hmac};

/// Writes the canonical encoding: a context string, then fields in a fixed order.
///
/// Byte strings and texts are a u32-LE length and the bytes; numbers are u64-LE; times i64-LE; an optional field is a
/// presence byte (0, or 1 and the field), so that absent is not empty. Anyone can recompute it with SHA-256 alone.
pub(crate) struct Encoder {
    buffer: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(context: &str) -> Self {
        let mut buffer = Vec::with_capacity(256);
        buffer.extend_from_slice(context.as_bytes());
        Self { buffer }
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.buffer.extend_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn time(&mut self, micros: i64) {
        self.buffer.extend_from_slice(&micros.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("every field is bounded by the limits of an event");
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.buffer.push(0),
            Some(bytes) => {
                self.buffer.push(1);
                self.bytes(bytes);
            }
        }
    }

    pub(crate) fn optional_time(&mut self, micros: Option<i64>) {
        match micros {
            None => self.buffer.push(0),
            Some(micros) => {
                self.buffer.push(1);
                self.time(micros);
            }
        }
    }

    /// The first 128 bits of SHA-256 of what was written.
    pub(crate) fn hash128(&self) -> [u8; 16] {
        first128(digest::digest(&digest::SHA256, &self.buffer).as_ref())
    }

    /// The first 128 bits of HMAC-SHA-256 under `key` of what was written.
    pub(crate) fn keyed128(&self, key: &[u8]) -> [u8; 16] {
        first128(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &self.buffer).as_ref())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn first128(hash: &[u8]) -> [u8; 16] {
    hash[..16].try_into().expect("SHA-256 has 32 bytes")
}
