//! What members tell each other beside raft, to its protobuf form and back.

use dmq_api::peer as proto;
use dmq_metadata::{FeatureLevel, StateHash};
use dmq_raft::MemberId;
use dmq_replica::{HashNote, MemberReport, ReportRow};

use super::convert::{ConvertError, index, member_from_proto, member_to_proto};

/// The rows of a report; its sender is the stream's.
pub fn report_to_proto(report: MemberReport) -> Vec<proto::ReportRow> {
    report.rows.into_iter().map(row_to_proto).collect()
}

/// The report that came on a stream from `from`.
pub fn report_from_proto(
    from: MemberId,
    rows: &[proto::ReportRow],
) -> Result<MemberReport, ConvertError> {
    let rows = rows.iter().map(row_from_proto).collect::<Result<_, _>>()?;
    Ok(MemberReport { from, rows })
}

fn row_to_proto(row: ReportRow) -> proto::ReportRow {
    let (min, max) = row.features;
    proto::ReportRow {
        member: Some(member_to_proto(row.member)),
        hashes: row.hashes.into_iter().map(note_to_proto).collect(),
        features: Some(proto::FeatureRange {
            min: min.0,
            max: max.0,
        }),
        projection_healthy: row.projection_healthy,
    }
}

fn note_to_proto(note: HashNote) -> proto::StateHashNote {
    proto::StateHashNote {
        index: note.index.0,
        state_hash: note.hash.0.to_be_bytes().to_vec().into(),
        feature_level: note.level.0,
    }
}

fn row_from_proto(row: &proto::ReportRow) -> Result<ReportRow, ConvertError> {
    let features = row.features.ok_or(ConvertError::Missing("features"))?;
    Ok(ReportRow {
        member: member_from_proto(row.member.as_ref())?,
        hashes: row
            .hashes
            .iter()
            .map(note_from_proto)
            .collect::<Result<_, _>>()?,
        features: (FeatureLevel(features.min), FeatureLevel(features.max)),
        projection_healthy: row.projection_healthy,
    })
}

fn note_from_proto(note: &proto::StateHashNote) -> Result<HashNote, ConvertError> {
    let bytes: [u8; 16] =
        note.state_hash
            .as_ref()
            .try_into()
            .map_err(|_| ConvertError::Invalid {
                field: "state_hash",
                rule: "16 bytes",
            })?;
    Ok(HashNote {
        index: index(note.index, "index")?,
        hash: StateHash(u128::from_be_bytes(bytes)),
        level: FeatureLevel(note.feature_level),
    })
}
