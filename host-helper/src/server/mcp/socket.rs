//! `mcp.sock`: accepts bridges, checks who they are, and serves MCP to each.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use claustre_protocol::rpc::{Answer, Fault, FaultCode, MAX_LINE};
use rmcp::{RoleServer, service::serve_server_with_ct, transport::async_rw::AsyncRwTransport};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    super::admission::{Admission, Limits, Place},
    backend::McpBackend,
    calls::Calls,
    hello::{BridgeHello, MAX_HELLO},
    rate::RateLimits,
    service::Service,
    tools::Tools,
};

/// How long a refusal may take to be written.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// How long to wait after the system refused to accept, as it does when it runs out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the connections may take to end once the daemon stops.
const STOP_TIME: Duration = Duration::from_secs(3);

/// Serves MCP on the socket until `stop` is cancelled; then ends every connection and returns.
///
/// The listener, the mode of its file (0600) and its removal are the caller's.
pub async fn serve<B: McpBackend>(
    listener: UnixListener,
    backend: Arc<B>,
    limits: Limits,
    stop: CancellationToken,
) {
    let limits = Limits {
        // Whoever has said hello has shown the token of a session.
        counts_greeted: false,
        kept_for_people: 0,
        ..limits
    };
    let admission = Admission::new("mcp.sock", limits);
    let door = Arc::new(Door {
        backend,
        limits: RateLimits::default(),
    });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_ended) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _address)) => {
                // A peer of another user is looked at, and refused, when it enters.
                let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
                let place = admission.enter(process);
                let door = Arc::clone(&door);
                let stop = stop.child_token();
                connections.spawn(async move { door.enter(stream, place, stop).await });
                // Those who came before say their first word before the next one is taken in.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(%error, "mcp.sock: cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_TIME, all_ended).await.is_err() {
        tracing::warn!("mcp.sock: connections did not end in time");
    }
}

/// What all connections share.
struct Door<B> {
    backend: Arc<B>,
    limits: RateLimits,
}

impl<B: McpBackend> Door<B> {
    /// One connection from accept to end.
    async fn enter(
        &self,
        stream: UnixStream,
        place: Result<Place, Fault>,
        stop: CancellationToken,
    ) {
        let same_user = stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw());
        let (read, write) = stream.into_split();
        if !same_user {
            tracing::warn!("mcp.sock: refused a peer of another user");
            refuse(write, refused("this socket serves its own user only")).await;
            return;
        }
        match place {
            Ok(place) => self.serve_one(read, write, place, stop).await,
            Err(fault) => refuse(write, fault).await,
        }
    }

    /// Hello, then MCP until the peer closes or `stop`, this connection's own, is cancelled.
    async fn serve_one<R, W>(
        &self,
        mut read: R,
        write: W,
        mut place: Place,
        stop: CancellationToken,
    ) where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let ended = place.ended().clone();
        let greeted = tokio::select! {
            // One that has just spoken is not one that says nothing.
            biased;
            () = stop.cancelled() => return,
            greeted = timeout(place.hello_time(), self.greet(&mut read)) => greeted,
            () = ended.cancelled() => return,
        };
        let (hello, rest) = match greeted {
            Ok(Ok(Some(greeted))) => greeted,
            Ok(Ok(None)) => return,
            Ok(Err(fault)) => {
                refuse(write, fault).await;
                return;
            }
            Err(_elapsed) => {
                place.timed_out();
                refuse(write, refused("no hello came in time")).await;
                return;
            }
        };
        if let Err(fault) = place.greeted(false) {
            refuse(write, fault).await;
            return;
        }

        // Cancelled with `stop`, and by the end of input.
        let gone = stop.child_token();
        let read = NoticeEnd {
            inner: io::Cursor::new(rest).chain(read),
            ended: gone.clone(),
        };
        let transport = AsyncRwTransport::<RoleServer, _, _>::new_server(read, write)
            .with_max_line_length(MAX_LINE);
        let rate = self.limits.bucket(hello.session);
        let calls = Calls::of(&hello);
        let tools = Tools::new(Arc::clone(&self.backend), hello.session, calls, rate, gone);
        // Not `gone`: calls that came before the end of input are still carried out and answered.
        match serve_server_with_ct(Service::new(tools), transport, stop).await {
            Ok(running) => {
                let result = running.waiting().await;
                tracing::debug!(session = %hello.session, ?result, "mcp connection ended");
            }
            Err(error) => {
                tracing::debug!(session = %hello.session, %error, "mcp handshake failed");
            }
        }
    }

    /// Reads and checks the hello. `None`: the peer went away without a word.
    async fn greet<R: AsyncRead + Unpin>(
        &self,
        read: &mut R,
    ) -> Result<Option<(BridgeHello, Vec<u8>)>, Fault> {
        let Some((line, rest)) = first_line(read).await? else {
            return Ok(None);
        };
        let hello = BridgeHello::parse(&line)?;
        // One answer for both, so that session ids cannot be found out.
        self.backend
            .authenticate(hello.session, &hello.token)
            .await
            .ok_or_else(|| {
                tracing::warn!(session = %hello.session, "mcp.sock: refused a hello");
                refused("no such session, or not its token")
            })?;
        Ok(Some((hello, rest)))
    }
}

/// The first line without its newline, and what was read beyond it.
async fn first_line<R: AsyncRead + Unpin>(
    read: &mut R,
) -> Result<Option<(Vec<u8>, Vec<u8>)>, Fault> {
    let mut line = Vec::with_capacity(512);
    loop {
        let room = MAX_HELLO.saturating_sub(line.len());
        if room == 0 {
            return Err(Fault::new(
                FaultCode::InvalidCall,
                format!("the first line has more than {MAX_HELLO} bytes"),
                Some("connect through `claustre mcp`".to_owned()),
            ));
        }
        let from = line.len();
        let limit = u64::try_from(room).unwrap_or(u64::MAX);
        match (&mut *read).take(limit).read_buf(&mut line).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
        let newline = line
            .iter()
            .skip(from)
            .position(|byte| *byte == b'\n')
            .map(|at| from.saturating_add(at));
        if let Some(at) = newline {
            let rest = line.split_off(at.saturating_add(1));
            line.truncate(at);
            return Ok(Some((line, rest)));
        }
    }
}

fn refused(message: &str) -> Fault {
    Fault::new(
        FaultCode::Refused,
        message,
        Some("restart the session from the dashboard".to_owned()),
    )
}

/// One JSON-RPC error line, then the end.
async fn refuse<W: AsyncWrite + Unpin>(mut write: W, fault: Fault) {
    let Ok(mut line) = serde_json::to_vec(&Answer::fault(None, fault)) else {
        return;
    };
    line.push(b'\n');
    let writing = async {
        write.write_all(&line).await?;
        write.shutdown().await
    };
    if !matches!(timeout(REFUSAL_TIME, writing).await, Ok(Ok(()))) {
        tracing::debug!("mcp.sock: the refusal was not read");
    }
}

/// A reader that tells when its input has ended.
///
/// rmcp lets running calls finish after the end of input and only then cancels them; a question that
/// waits for a person must learn at once that nobody reads the answer.
struct NoticeEnd<R> {
    inner: R,
    ended: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for NoticeEnd<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let had_room = buffer.remaining() > 0;
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let ended = match &polled {
            Poll::Ready(Ok(())) => had_room && buffer.filled().len() == before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.ended.cancel();
        }
        polled
    }
}
