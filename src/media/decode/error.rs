//! Errors of decoding.

/// Supported formats, for messages.
pub(super) const KINDS: &str = "WAV, AIFF, FLAC, MP3, Ogg Vorbis, AAC, ALAC";

/// The reason why a file cannot be played; the message continues "file '…'".
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// No known format was found in it.
    #[error("is not a sound file of a supported kind ({KINDS}): {0}")]
    Unknown(String),
    /// A known format that is not supported; the text names the format or the limit.
    #[error("cannot be played: {0}")]
    Unsupported(String),
    /// Its data are invalid.
    #[error("is damaged: {0}")]
    Damaged(String),
}

impl DecodeError {
    /// Creates the error for a codec or file format that is not supported.
    pub(super) fn no_decoder(name: &str) -> DecodeError {
        DecodeError::Unsupported(format!("{name} is not supported (supported: {KINDS})"))
    }
}
