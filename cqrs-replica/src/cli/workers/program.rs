//! Starting this program once more.

use std::{
    env,
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::net},
    path::PathBuf,
    process::Stdio,
};

use tokio::{
    io::AsyncReadExt,
    net::UnixStream,
    process::{Child, Command},
};

/// What a child writes when its worker has started.
pub(super) const STARTED: u8 = b'+';

/// This program with its arguments.
#[derive(Debug)]
pub(super) struct Program {
    file: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    /// The path is found once: after an upgrade it leads to the new file, and the kernel does not
    /// know it any more.
    pub(super) fn own() -> io::Result<Self> {
        let file = env::current_exe()?;
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_else(|| file.clone().into());
        Ok(Self {
            file,
            name,
            arguments: arguments.collect(),
        })
    }

    /// Starts a child with one worker, in a process group of its own: what a terminal sends goes to
    /// the parent alone.
    pub(super) fn start(&self, number: u16) -> io::Result<WorkerProcess> {
        let (ours, theirs) = net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let process = Command::new(&self.file)
            .arg0(&self.name)
            .args(&self.arguments)
            .arg("--supervised")
            .arg(number.to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(WorkerProcess {
            process,
            link: UnixStream::from_std(ours)?,
        })
    }
}

/// A child. It drains when `link` is dropped, and is killed when `process` is.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    pub(super) process: Child,
    pub(super) link: UnixStream,
}

/// Waits until the child's worker has started; for ever, if it ends before.
pub(super) async fn started(link: &mut UnixStream) {
    let mut byte = [0];
    match link.read(&mut byte).await {
        Ok(1..) if byte == [STARTED] => {}
        _ => std::future::pending().await,
    }
}
