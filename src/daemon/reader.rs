//! Reads tables of sets and plans for the conductor, on threads of their own: their disks may hang.

use std::sync::Arc;

use crate::media::library::Library;

/// A function that reads what a job asks for.
type Read<J, R> = fn(&Library, &J) -> Result<R, String>;
/// A function that takes in what was read.
type Tell<J, R> = Arc<dyn Fn(J, Result<R, String>) + Send + Sync>;

/// Reads files of one kind: `J` is a job, `R` its result.
pub struct Reader<J, R> {
    /// Media roots.
    pub library: Library,
    /// Name of the threads.
    name: &'static str,
    read: Read<J, R>,
    tell: Tell<J, R>,
}

impl<J: Clone + Send + 'static, R: Send + 'static> Reader<J, R> {
    /// Creates a reader whose threads have this name; `tell` takes in the results.
    pub fn new(
        (name, library): (&'static str, Library),
        read: Read<J, R>,
        tell: impl Fn(J, Result<R, String>) + Send + Sync + 'static,
    ) -> Reader<J, R> {
        Reader { library, name, read, tell: Arc::new(tell) }
    }

    /// Reads a file on a new thread. The conductor hardly asks for one before it has the one before.
    pub fn start(&self, job: J) {
        let (library, read, tell) = (self.library.clone(), self.read, self.tell.clone());
        let own = job.clone();
        let work = move || {
            let result = read(&library, &own);
            tell(own, result);
        };
        if let Err(e) = std::thread::Builder::new().name(self.name.into()).spawn(work) {
            (self.tell)(job, Err(format!("no thread could be started to read it: {e}")));
        }
    }
}
