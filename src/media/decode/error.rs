//! Why a file cannot be played.

/// What can be decoded, for messages.
pub(super) const KINDS: &str = "WAV, AIFF, FLAC, MP3, Ogg Vorbis, AAC, ALAC";

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Nothing in it looks like sound.
    #[error("is not a sound file of a supported kind ({KINDS}): {0}")]
    Unknown(String),
    /// It is a known kind of file, but not one that can be played; the text names the kind or the limit.
    #[error("cannot be played: {0}")]
    Unsupported(String),
    /// Its sound cannot be decoded.
    #[error("is damaged: {0}")]
    Damaged(String),
}

impl DecodeError {
    /// A codec or a file format that has no decoder here.
    pub(super) fn no_decoder(name: &str) -> DecodeError {
        DecodeError::Unsupported(format!("{name} is not supported (supported: {KINDS})"))
    }
}
