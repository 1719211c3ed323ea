//! Servers that are not as trusting as ours, for tests.

use super::{LocalPostgresError, PostgresServer, io};

impl PostgresServer {
    /// Writes files of these names and contents into the data directory, adds lines to
    /// `postgresql.conf`, and starts again: for tests of servers that are not as trusting.
    ///
    /// # Errors
    /// See [`LocalPostgresError`].
    pub async fn reconfigure(
        &mut self,
        files: &[(&str, &str)],
        settings: &str,
    ) -> Result<(), LocalPostgresError> {
        for (name, content) in files {
            let path = self.data_directory().join(name);
            std::fs::write(&path, content).map_err(io(path.display()))?;
            self.user.give_file(&path).map_err(io(path.display()))?;
        }
        let path = self.data_directory().join("postgresql.conf");
        let before = std::fs::read_to_string(&path).map_err(io(path.display()))?;
        std::fs::write(&path, format!("{before}\n{settings}\n")).map_err(io(path.display()))?;
        self.restart().await
    }
}
