//! Orders from PID 1 to the log writer: one JSON object a `SOCK_SEQPACKET` message.
//!
//! PID 1 owns every pipe and keeps both ends, so a pipe outlives each run and each log
//! writer. An [`Order::Attach`] carries the read ends of an instance's stdout and stderr
//! pipe as `SCM_RIGHTS`, in this order. The log writer copies what it reads to every
//! sink **before** it takes it out of the pipe: when it is killed, nothing is lost.

use serde::{Deserialize, Serialize};

/// The descriptor on which a log writer finds its socket.
pub const SOCKET_FD: i32 = 3;

/// The longest message in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// PID 1 to log writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Take care of one instance's two streams; the message carries their two read ends.
    Attach(Attach),
    /// The instance's run is over: what is in its pipes is its last words, so a last line
    /// without a newline is complete now.
    Ended {
        /// The instance's id.
        id: u32,
    },
    /// The instance was deleted: write what is left, then let go of its streams.
    Detach {
        /// The instance's id.
        id: u32,
    },
    /// Write the pid to its file, or take the file away.
    PidFile {
        /// Absolute.
        path: String,
        /// `None`: there is no process any more.
        pid: Option<u32>,
    },
    /// Open every file again.
    Reopen,
    /// Write all that is in the pipes, answer [`News::Finished`], and end.
    Finish,
}

/// An instance's streams and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The instance's id.
    pub id: u32,
    /// The app's name, for messages.
    pub app: String,
    /// The instance's number, for messages.
    pub instance: u32,
    /// What to put before each line on the container's streams; `None`: the bytes as they came.
    pub prefix: Option<String>,
    /// False: nothing goes to the container's streams or anywhere else (`disable_logs`).
    pub keep: bool,
    /// File for stdout, absolute, final.
    pub out_file: Option<String>,
    /// File for stderr.
    pub error_file: Option<String>,
    /// File for both.
    pub log_file: Option<String>,
    /// Stamp before each line, in files and on the container's streams, in dayjs tokens.
    pub date_format: Option<String>,
    /// A former log writer had these streams and died: what it wrote last may be half a
    /// line, and may come again. Marked by a newline on the container's streams.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
}

/// What stands before each line of an instance when the container's streams show several.
pub fn prefix(app: &str, instance: u32) -> String {
    format!("{app}:{instance} | ")
}

/// Log writer to PID 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum News {
    /// All is written. The log writer is about to end.
    Finished,
}
