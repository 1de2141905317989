//! Paths that can be subscribed to in addition to controls: states, which are pushed when they change, and events.

/// Declaration of a path that can be subscribed to.
pub struct Stream {
    /// The path; a part in braces stands for a name or number.
    pub path: &'static str,
    /// Names of the values, with units.
    pub fields: &'static [&'static str],
    /// One line of documentation.
    pub doc: &'static str,
}

impl Stream {
    /// Returns whether `path` is this path with its name or number filled in.
    pub fn is_instance(&self, path: &str) -> bool {
        self.path.split_once("/{").is_some_and(|(before, _)| {
            path.strip_prefix(before)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|n| !n.contains('/') && !n.is_empty())
        })
    }

    /// Returns whether messages to `address` carry the name or number of this path as their first argument.
    pub fn is_numbered_as(&self, address: &str) -> bool {
        self.path.split_once("/{").is_some_and(|(before, _)| before == address)
    }
}
