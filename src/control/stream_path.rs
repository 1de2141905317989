//! Paths that can be subscribed to besides the controls' own values: states that are pushed as they change, and events.

/// A path and what comes with it.
pub struct Stream {
    /// The path; a part in braces stands for a name or number.
    pub path: &'static str,
    /// Names of its values, with units.
    pub fields: &'static [&'static str],
    /// One line.
    pub doc: &'static str,
}

impl Stream {
    /// Whether `path` is this one with its name or number filled in.
    pub fn is_instance(&self, path: &str) -> bool {
        self.path.split_once("/{").is_some_and(|(before, _)| {
            path.strip_prefix(before)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|n| !n.contains('/') && !n.is_empty())
        })
    }

    /// Whether messages to `address` carry in front the number or name that stands in this path.
    pub fn is_numbered_as(&self, address: &str) -> bool {
        self.path.split_once("/{").is_some_and(|(before, _)| before == address)
    }
}
