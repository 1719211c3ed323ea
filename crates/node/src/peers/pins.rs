//! Asks a voter to bind itself to one body of `quorum:initialize` (DESIGN 6.1).

use std::time::Duration;

use dmq_api::peer as proto;
use dmq_replica::PinError;

use super::Addressee;
use super::outbound::Connection;

/// A voter answers after one small durable write.
const PIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the voter at the other end of `connection`.
pub async fn request(
    connection: Option<Connection>,
    own: &Addressee,
    digest: [u8; 32],
) -> Result<(), PinError> {
    let Some(mut connection) = connection else {
        return Err(PinError::Unreachable("not connected".to_owned()));
    };
    let address = Some(own.address(connection.member));
    let request = proto::PinRequest {
        address,
        digest: digest.to_vec().into(),
    };
    match tokio::time::timeout(PIN_TIMEOUT, connection.client.pin(request)).await {
        Err(_) => Err(PinError::Unreachable(format!(
            "no answer within {PIN_TIMEOUT:?}"
        ))),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) => Err(judge(&status)),
    }
}

fn judge(status: &tonic::Status) -> PinError {
    let message = status.message().to_owned();
    match status.code() {
        tonic::Code::AlreadyExists
        | tonic::Code::FailedPrecondition
        | tonic::Code::InvalidArgument => PinError::Refused(message),
        _ => PinError::Unreachable(message),
    }
}
