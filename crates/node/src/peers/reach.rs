//! Getting hold of a peer: its name is looked up anew for every attempt, and where it called from is tried too.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use dmq_api::peer::raft_client::RaftClient;
use tonic::transport::{Channel, Endpoint};

use super::journal::LinkError;
use super::{CONNECT_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MESSAGE_BYTES_MAX};

/// The address of the book has this long for itself.
const FALLBACK_DELAY: Duration = Duration::from_millis(100);

/// Connects to `host:port`. Nothing of an earlier attempt is remembered: neither the addresses of the name nor
/// that it had none.
pub(super) async fn dial(authority: &str) -> Result<RaftClient<Channel>, LinkError> {
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .map_err(|error| LinkError::Connect(error.to_string()))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let channel = endpoint
        .connect()
        .await
        .map_err(|error| LinkError::Connect(root_cause(&error)))?;
    Ok(RaftClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX))
}

/// Where the peer called from, with the port of its address in the book; `None` if that says nothing new.
pub(super) fn fallback(authority: &str, source: Option<IpAddr>) -> Option<String> {
    let source = source.filter(|source| !source.is_loopback())?;
    let port = authority.rsplit_once(':')?.1.parse().ok()?;
    let address = SocketAddr::new(source, port).to_string();
    (address != authority).then_some(address)
}

/// What `first` gives; `second` is tried beside it when that takes long, and after it when it fails. An error is
/// that of `first`, which is what people can set right.
pub(super) async fn first_of<T, E>(
    first: impl Future<Output = Result<T, E>>,
    second: Option<impl Future<Output = Result<T, E>>>,
) -> Result<T, E> {
    let Some(second) = second else {
        return first.await;
    };
    let (mut first, mut second) = (pin!(first), pin!(second));
    match tokio::time::timeout(FALLBACK_DELAY, &mut first).await {
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(error)) => return second.await.map_err(|_| error),
        Err(_) => {}
    }
    tokio::select! {
        result = &mut first => match result {
            Ok(found) => Ok(found),
            Err(error) => second.await.map_err(|_| error),
        },
        result = &mut second => match result {
            Ok(found) => Ok(found),
            Err(_) => first.await,
        },
    }
}

/// The last cause says what happened ("Connection refused"); the ones before say "transport error".
fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

/// The answer to a call, if it comes in time.
pub(super) async fn within<T>(
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> Result<T, LinkError> {
    match tokio::time::timeout(CONNECT_TIMEOUT, call).await {
        Err(_) => Err(LinkError::Silent(CONNECT_TIMEOUT)),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) if status.code() == tonic::Code::FailedPrecondition => {
            Err(LinkError::Refused(status.message().to_owned()))
        }
        Ok(Err(status)) => Err(LinkError::Broken(status.message().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    type Outcome = Result<u32, &'static str>;

    #[test]
    fn a_source_is_of_use_if_it_is_another_address() {
        let source = |text: &str| Some(text.parse().unwrap());
        let fallback = |authority: &str, text: &str| fallback(authority, source(text));
        assert_eq!(
            fallback("meta-0.meta:9093", "10.1.2.3").as_deref(),
            Some("10.1.2.3:9093")
        );
        assert_eq!(
            fallback("meta-0.meta:9093", "fd00::3").as_deref(),
            Some("[fd00::3]:9093")
        );
        assert_eq!(fallback("10.1.2.3:9093", "10.1.2.3"), None);
        assert_eq!(fallback("localhost:9093", "127.0.0.1"), None);
        assert_eq!(super::fallback("meta-0.meta:9093", None), None);
    }

    #[tokio::test]
    async fn the_second_way_is_taken_when_the_first_is_slow_or_fails() {
        let ok = |n: u32| ready(Outcome::Ok(n));
        let failed = |e: &'static str| ready(Outcome::Err(e));
        assert_eq!(first_of(ok(1), Some(pending())).await, Ok(1));
        assert_eq!(first_of(failed("no"), Some(ok(2))).await, Ok(2));
        assert_eq!(first_of(pending(), Some(ok(2))).await, Ok(2));
        assert_eq!(
            first_of(failed("no"), None::<std::future::Ready<Outcome>>).await,
            Err("no")
        );
        assert_eq!(
            first_of(failed("no"), Some(failed("neither"))).await,
            Err("no")
        );
        let slow = async {
            tokio::time::sleep(FALLBACK_DELAY * 2).await;
            Outcome::Ok(1)
        };
        assert_eq!(first_of(slow, Some(failed("neither"))).await, Ok(1));
    }
}
