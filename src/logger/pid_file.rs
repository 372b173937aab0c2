//! Pid files: a number without a newline (PM2's form), there as long as the process is.

use std::fs;
use std::io;
use std::path::Path;

/// Makes the file say `pid`, or takes it away.
pub(super) fn update(path: &str, pid: Option<u32>) -> io::Result<()> {
    let path = Path::new(path);
    let Some(pid) = pid else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, pid.to_string())
}
