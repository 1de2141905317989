//! Why a genome cannot be read or rendered.

/// What is wrong with a genome, a request or a database, naming the node, connection or argument.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    #[error("Genome {0} not found")]
    NotFound(String),
    #[error("genome: {0}")]
    Malformed(String),
    #[error("genome: {what} is {found}; at most {limit} are accepted")]
    TooLarge { what: &'static str, found: usize, limit: usize },
    #[error("genome: node '{node}' ({kind}): {problem}")]
    Node { node: String, kind: String, problem: String },
    #[error("genome: connection '{connection}': {problem}")]
    Connection { connection: String, problem: String },
    #[error("genome: network: {0}")]
    Network(String),
    #[error("argument '{argument}' is {received}: expected {expected}")]
    Argument { argument: &'static str, received: String, expected: String },
    #[error("genome database: {0}")]
    Database(String),
    #[error("genome: the audio graph failed: {0}")]
    Graph(String),
    #[error("{0}")]
    Request(String),
    /// Nobody wants the rest of the render.
    #[error("genome: render stopped")]
    Stopped,
}
