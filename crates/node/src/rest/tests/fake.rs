//! A member that commits every command at once, unless it is told to refuse.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use dmq_metadata::{
    BrokerEpoch, BrokerId, BrokerSession, ClusterId, Command, DirectoryId, Envelope, FeatureLevel,
    Host, Image, Incarnation, LogTime, MetadataIndex, NodeId, Principal, RegisterBroker, Rejection,
    RejectionCode, Reply, RequestId, StateHash, Term, WallTime,
};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::watch;
use tower::ServiceExt;
use uuid::Uuid;

use crate::handle::*;
use crate::metrics::Metrics;
use crate::rest::Rest;
use crate::rest::extract::PeerAddr;
use crate::rest::router::{Surface, router};

/// The wall clock of every command.
pub(super) const NOW: i64 = 1_730_000_000_000;
/// Term of every entry.
pub(super) const TERM: Term = Term(7);

type Meanwhile = Box<dyn FnOnce() + Send>;
type Refusal = Arc<dyn Fn() -> RequestError + Send + Sync>;

/// A member on its own.
pub(super) struct FakeMember {
    image: Mutex<Image>,
    refusal: Mutex<Option<Refusal>>,
    /// Every command that was proposed.
    pub(super) proposed: Mutex<Vec<CommandRequest>>,
    /// Every read that was asked for.
    pub(super) reads: Mutex<Vec<ReadRequest>>,
    /// What happens while the next read waits.
    pub(super) during_read: Mutex<Option<Meanwhile>>,
    /// Every heartbeat.
    pub(super) heartbeats: Mutex<Vec<BrokerHeartbeat>>,
    /// Every other call, by name.
    pub(super) calls: Mutex<Vec<String>>,
}

/// A REST interface over a fake member.
pub(super) struct Rig {
    pub(super) member: Arc<FakeMember>,
    pub(super) status: watch::Sender<Arc<NodeStatus>>,
    pub(super) rest: Rest,
    router: Router,
}

/// An answer taken apart.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl FakeMember {
    fn new() -> Self {
        let mut image = Image::new(ClusterId::parse("dmq").unwrap());
        commit(
            &mut image,
            Command::SetFeatureLevel(FeatureLevel::MAX),
            None,
        )
        .1
        .unwrap();
        Self {
            image: Mutex::new(image),
            refusal: Mutex::default(),
            proposed: Mutex::default(),
            reads: Mutex::default(),
            during_read: Mutex::default(),
            heartbeats: Mutex::default(),
            calls: Mutex::default(),
        }
    }

    /// Refuses everything that can be refused.
    pub(super) fn refuse(&self, refusal: impl Fn() -> RequestError + Send + Sync + 'static) {
        *self.refusal.lock().unwrap() = Some(Arc::new(refusal));
    }

    /// Commits a command without REST.
    pub(super) fn commit(&self, command: Command) -> Reply {
        commit(&mut self.image.lock().unwrap(), command, None)
            .1
            .unwrap()
    }

    /// Registers a broker at `localhost` and unfences it; answers its epoch.
    pub(super) fn broker(&self, id: u32) -> u64 {
        let reply = self.commit(Command::RegisterBroker(RegisterBroker {
            broker_id: BrokerId(id),
            cluster_id: None,
            incarnation: None,
            host: Host::parse("localhost").unwrap(),
            port: u16::try_from(8_000 + id).unwrap(),
            rack: None,
        }));
        let Reply::BrokerRegistered(broker) = reply else {
            panic!("{reply:?}")
        };
        let session = BrokerSession {
            broker_id: BrokerId(id),
            epoch: broker.epoch,
        };
        self.commit(Command::UnfenceBroker(session));
        broker.epoch.0
    }

    /// Number of topics in the image.
    pub(super) fn image_topics(&self) -> usize {
        self.image.lock().unwrap().counts().topics
    }

    fn called(&self, name: impl Into<String>) -> Result<(), RequestError> {
        self.calls.lock().unwrap().push(name.into());
        match &*self.refusal.lock().unwrap() {
            Some(refusal) => Err(refusal()),
            None => Ok(()),
        }
    }
}

fn commit(
    image: &mut Image,
    command: Command,
    request: Option<&CommandRequest>,
) -> (MetadataIndex, dmq_metadata::Outcome) {
    let index = image.index().next();
    let envelope = Envelope {
        request_id: RequestId(Uuid::nil()),
        principal: request.map_or_else(Principal::anonymous, |request| request.principal.clone()),
        idempotency: request.and_then(|request| request.idempotency.clone()),
        log_time: LogTime(0),
        wall_clock: WallTime(NOW),
        seed: 0,
        command,
    };
    let applied = dmq_metadata::apply(image, index, &envelope).unwrap();
    (index, applied.outcome)
}

#[async_trait]
impl Member for FakeMember {
    async fn propose(&self, request: CommandRequest) -> Result<Committed, RequestError> {
        self.called(request.command.name())?;
        self.proposed.lock().unwrap().push(request.clone());
        let (index, outcome) = commit(
            &mut self.image.lock().unwrap(),
            request.command.clone(),
            Some(&request),
        );
        Ok(Committed {
            index,
            term: TERM,
            outcome,
            projected: index,
        })
    }

    async fn read(&self, request: ReadRequest) -> Result<Arc<View>, RequestError> {
        self.called("read")?;
        self.reads.lock().unwrap().push(request);
        if let Some(meanwhile) = self.during_read.lock().unwrap().take() {
            meanwhile();
        }
        let view = self.view();
        match view.image.index() {
            applied if applied < request.min_index => Err(RequestError::ReadTimeout {
                wanted: request.min_index,
                applied,
            }),
            _ => Ok(view),
        }
    }

    fn view(&self) -> Arc<View> {
        Arc::new(View {
            image: self.image.lock().unwrap().clone(),
            term: TERM,
        })
    }

    async fn initialize(&self, request: InitializeRequest) -> Result<Initialized, RequestError> {
        self.called(format!("initialize {request:?}"))?;
        Ok(Initialized {
            voters: request.voters,
            membership_index: MetadataIndex(1),
        })
    }

    async fn transfer(&self, request: TransferRequest) -> Result<Transferred, RequestError> {
        self.called(format!("transfer {request:?}"))?;
        Ok(Transferred {
            leader: request.target.unwrap_or(NodeId(2)),
            term: Term(8),
        })
    }

    async fn change_membership(
        &self,
        request: MembershipRequest,
    ) -> Result<Membership, RequestError> {
        self.called(format!("change_membership {request:?}"))?;
        let member = |id: u32| Voter {
            id: NodeId(id),
            directory: DirectoryId(Uuid::from_u128(u128::from(id))),
        };
        let (voters, observers) = match request.change {
            MembershipChange::Voters(voters) => (voters, Vec::new()),
            MembershipChange::AddObserver(observer) => (vec![member(1)], vec![observer]),
            MembershipChange::RemoveObserver(_) => (vec![member(1)], Vec::new()),
        };
        Ok(Membership {
            index: MetadataIndex(request.expected.0 + 2),
            voters,
            observers,
        })
    }

    async fn heartbeat(&self, beat: BrokerHeartbeat) -> Result<BrokerVerdict, RequestError> {
        self.called("heartbeat")?;
        self.heartbeats.lock().unwrap().push(beat);
        if self.view().image.broker(beat.broker).is_none() {
            let (code, rule) = (RejectionCode::BrokerIdNotRegistered, "no such broker");
            return Err(RequestError::Rejected(Rejection::new(
                code,
                "id",
                beat.broker,
                rule,
            )));
        }
        Ok(BrokerVerdict {
            is_caught_up: true,
            is_fenced: beat.epoch == Some(BrokerEpoch(0)),
            should_shut_down: beat.want_shut_down,
            index: self.view().image.index(),
            term: TERM,
        })
    }

    async fn take_snapshot(&self) -> Result<SnapshotInfo, RequestError> {
        self.called("take_snapshot")?;
        Ok(snapshot())
    }

    async fn snapshots(&self) -> Result<Vec<SnapshotInfo>, RequestError> {
        self.called("snapshots")?;
        Ok(vec![snapshot()])
    }

    async fn state_hash(
        &self,
        index: Option<MetadataIndex>,
        _timeout: Option<Duration>,
    ) -> Result<StateHashAt, RequestError> {
        self.called("state_hash")?;
        let image = self.view().image.clone();
        if index.is_some_and(|index| index < image.index()) {
            let detail = "nothing else is".to_owned();
            return Err(RequestError::Compacted {
                wanted: index.unwrap(),
                detail,
            });
        }
        let feature_level = image.feature_level();
        Ok(StateHashAt {
            index: image.index(),
            hash: image.state_hash(),
            feature_level,
        })
    }

    async fn liveness(&self) -> Result<(), String> {
        self.called("liveness").map_err(|error| error.to_string())
    }
}

pub(super) fn snapshot() -> SnapshotInfo {
    SnapshotInfo {
        index: MetadataIndex(1_000),
        term: TERM,
        size_bytes: 4_096,
        state_hash: StateHash(0xab),
        feature_level: FeatureLevel(1),
    }
}

/// Node 1 of three, the controller, with node 2 caught up and node 3 never heard of.
pub(super) fn leading() -> NodeStatus {
    let voter = |id: u32, progress| MemberStatus {
        id: NodeId(id),
        directory: DirectoryId(Uuid::from_u128(u128::from(id))),
        peer_address: Some(format!("localhost:{}", 9_092 + id)),
        url: (id != 1).then(|| format!("http://localhost:{}", 8_079 + id)),
        progress: Some(progress),
    };
    let caught_up = |contact| Progress {
        matched: MetadataIndex(42),
        last_contact: contact,
        last_caught_up: contact,
        receiving_snapshot: false,
        stopping: false,
        caught_up: false,
    };
    NodeStatus {
        cluster: ClusterId::parse("dmq").unwrap(),
        incarnation: Incarnation::FIRST,
        node: NodeId(1),
        directory: DirectoryId(Uuid::from_u128(1)),
        url: "http://localhost:8080".to_owned(),
        state: NodeState::Leader,
        term: TERM,
        leader: Some(NodeId(1)),
        leader_url: Some("http://localhost:8080".to_owned()),
        last: MetadataIndex(42),
        durable: MetadataIndex(42),
        commit: MetadataIndex(42),
        applied: MetadataIndex(42),
        log_start: MetadataIndex(0),
        projection: ProjectionStatus {
            index: MetadataIndex(40),
            healthy: true,
            stopped: false,
        },
        log_time: LogTime(0),
        feature_level: FeatureLevel(1),
        feature_level_max: FeatureLevel(1),
        membership_index: MetadataIndex(1),
        committed_membership_index: MetadataIndex(1),
        voters: vec![
            voter(1, caught_up(Some(Duration::ZERO))),
            voter(2, caught_up(Some(Duration::from_millis(30)))),
            voter(
                3,
                Progress {
                    matched: MetadataIndex(0),
                    ..caught_up(None)
                },
            ),
        ],
        outgoing: Vec::new(),
        observers: Vec::new(),
        transferring: None,
        ready: true,
        stopping: false,
        alarms: Vec::new(),
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with_token_file(None)
    }

    pub(super) fn with_token_file(token_file: Option<PathBuf>) -> Self {
        let member = Arc::new(FakeMember::new());
        let status = watch::Sender::new(Arc::new(leading()));
        let handle = Handle::new(member.clone(), status.subscribe());
        let rest = Rest::new(handle, Arc::new(Metrics::new()), token_file);
        let router = router(rest.app.clone(), Surface::Full);
        Self {
            member,
            status,
            rest,
            router,
        }
    }

    /// Publishes a changed status.
    pub(super) fn publish(&self, change: impl FnOnce(&mut NodeStatus)) {
        let mut status = NodeStatus::clone(&self.status.borrow());
        change(&mut status);
        self.status.send_replace(Arc::new(status));
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Got {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Got {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Got {
        self.send(request("GET", path, "")).await
    }

    /// Sends JSON from loopback.
    pub(super) async fn json(&self, method: &str, path: &str, body: &str) -> Got {
        self.send(request(method, path, body)).await
    }
}

/// A request from loopback, below the prefix unless the path is rooted elsewhere; with a body: JSON.
pub(super) fn request(method: &str, path: &str, body: &str) -> Request<Body> {
    request_with(method, path, body, &[])
}

/// The same with more headers.
pub(super) fn request_with(
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> Request<Body> {
    let uri = match path.strip_prefix("//") {
        Some(rooted) => format!("/{rooted}"),
        None => format!("/api/v1/metadata{path}"),
    };
    let mut builder = Request::builder().method(method).uri(uri);
    if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
        builder = builder.header("content-type", "application/json");
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let peer: SocketAddr = "127.0.0.1:50000".parse().unwrap();
    builder
        .extension(PeerAddr(peer))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

impl Got {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts that this is a well-formed problem document of this status and code.
    pub(super) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem: dmq_api::problem::Problem = serde_json::from_str(&self.text).unwrap();
        assert_eq!(
            (problem.status, problem.code.as_str()),
            (status, code),
            "{self:?}"
        );
        assert!(
            !problem.detail.is_empty() && !problem.title.is_empty(),
            "{self:?}"
        );
    }
}
