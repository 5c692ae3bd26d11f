//! The gRPC server of the agents' port, with every limit set: the library's own defaults are open.

use std::time::Duration;

use fleetmend_core::limits;
use fleetmend_proto::v1::agent_service_server::AgentServiceServer;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use super::rules;
use super::service::AgentLink;
use crate::lifecycle::Lifecycle;
use crate::tls::Connection;

/// Flow-control window of a stream: four of the largest messages.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Flow-control window of a connection.
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// The largest HTTP/2 frame, the smallest that the protocol allows.
const FRAME: u32 = 16 * 1024;
/// Time for an open call to end when its connection has grown old.
const AGE_GRACE: Duration = Duration::from_hours(1);

/// Serves agents on connections whose handshake is done, until the soft stop.
pub fn serve(
    link: AgentLink,
    connections: tokio::sync::mpsc::Receiver<std::io::Result<Connection>>,
    life: &Lifecycle,
) {
    let service = AgentServiceServer::new(link)
        .max_decoding_message_size(rules::message_bytes())
        .max_encoding_message_size(limits::MESSAGE_BYTES);
    let streams = limits::STREAMS_PER_CONNECTION;
    let router = Server::builder()
        .max_concurrent_streams(streams)
        .concurrency_limit_per_connection(streams as usize)
        .load_shed(true)
        .timeout(rules::call_time())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_adaptive_window(Some(false))
        .max_frame_size(FRAME)
        .http2_max_header_list_size(limits::HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(limits::PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(limits::LOCAL_ERROR_RESETS))
        .http2_keepalive_interval(Some(limits::HEARTBEAT))
        .http2_keepalive_timeout(Some(limits::HEARTBEAT))
        .max_connection_age(limits::CONNECTION_AGE)
        .max_connection_age_grace(AGE_GRACE)
        .accept_http1(false)
        .add_service(service);
    let soft = life.soft();
    life.spawn_part("agents' server", async move {
        let incoming = ReceiverStream::new(connections);
        let served = router.serve_with_incoming_shutdown(incoming, soft.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the agents' server ended");
        }
    });
}
