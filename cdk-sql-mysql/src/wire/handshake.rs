//! From a fresh TCP connection to a logged-in session: greeting, TLS, login.

use std::sync::Arc;

use mysql_common::constants::CapabilityFlags;
use mysql_common::io::ParseBuf;
use mysql_common::packets::{
    AuthPlugin, AuthSwitchRequest, HandshakePacket, HandshakeResponse, SslRequest,
};
use mysql_common::proto::MySerialize;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::failure::{Failure, server_error};
use super::packets::{ByteStream, Packet, Packets, broken};
use crate::encryption::Encryption;
use crate::settings::Login;

/// What the server tells about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// MariaDB or MySQL.
    pub flavor: Flavor,
    /// Major, minor, patch.
    pub version: (u16, u16, u16),
    /// The version as the server writes it.
    pub version_text: String,
}

/// Which of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// MariaDB.
    MariaDb,
    /// MySQL, and whatever calls itself so.
    MySql,
}

const MAX_PACKET_BYTES: u32 = 1 << 30;

/// `utf8mb4_general_ci`, known to every server; the session's real settings follow.
const COLLATION: u8 = 45;

const WANTED: CapabilityFlags = CapabilityFlags::CLIENT_LONG_PASSWORD
    .union(CapabilityFlags::CLIENT_LONG_FLAG)
    .union(CapabilityFlags::CLIENT_PROTOCOL_41)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)
    .union(CapabilityFlags::CLIENT_DEPRECATE_EOF);

/// What logging in yields.
pub(crate) struct Session {
    pub(crate) packets: Packets,
    pub(crate) capabilities: CapabilityFlags,
    pub(crate) server: Server,
    pub(crate) is_encrypted: bool,
}

/// Logs in over `stream`.
pub(crate) async fn log_in(
    stream: Box<dyn ByteStream>,
    login: &Login,
    encryption: &Encryption,
) -> Result<Session, Failure> {
    let mut packets = Packets::new(stream);
    let greeting = Greeting::read(&mut packets).await?;
    let mut capabilities = WANTED & greeting.capabilities;
    let offers_tls = greeting.capabilities.contains(CapabilityFlags::CLIENT_SSL);
    let mut is_encrypted = false;
    if let Some(config) = encryption.config(offers_tls)? {
        capabilities |= CapabilityFlags::CLIENT_SSL;
        packets = start_tls(packets, capabilities, config, &login.host).await?;
        is_encrypted = true;
    }
    let mut auth = Auth {
        password: login.password.expose(),
        plugin: greeting.plugin,
        nonce: greeting.nonce,
        is_encrypted,
    };
    let proof = auth.proof()?;
    let response = HandshakeResponse::new(
        Some(proof),
        greeting.server.version,
        Some(login.user.as_bytes()),
        login.database.as_deref().map(str::as_bytes),
        Some(auth.plugin.borrow()),
        capabilities,
        None,
        MAX_PACKET_BYTES,
    );
    packets.send(&serialized(&response)).await?;
    auth.finish(&mut packets).await?;
    Ok(Session {
        packets,
        capabilities,
        server: greeting.server,
        is_encrypted,
    })
}

struct Greeting {
    server: Server,
    capabilities: CapabilityFlags,
    plugin: AuthPlugin<'static>,
    nonce: Vec<u8>,
}

impl Greeting {
    async fn read(packets: &mut Packets) -> Result<Self, Failure> {
        let packet = packets.read().await?;
        let bytes = packets.bytes(&packet);
        if bytes.first() == Some(&0xff) {
            return Err(server_error(bytes));
        }
        if bytes.first() != Some(&10) {
            return Err(broken("whoever answers does not speak MySQL's protocol").into());
        }
        let greeting: HandshakePacket<'_> = ParseBuf(bytes).parse(())?;
        let maria = greeting.maria_db_server_version_parsed();
        let version = maria.or_else(|| greeting.server_version_parsed());
        let mut nonce = greeting.scramble_1_ref().to_vec();
        nonce.extend_from_slice(greeting.scramble_2_ref().unwrap_or_default());
        // 20 bytes and a terminator.
        nonce.resize(20, 0);
        let plugin = match greeting.auth_plugin() {
            Some(AuthPlugin::CachingSha2Password) => AuthPlugin::CachingSha2Password,
            // The server asks for another one if it must.
            _ => AuthPlugin::MysqlNativePassword,
        };
        Ok(Self {
            server: Server {
                flavor: maria.map_or(Flavor::MySql, |_| Flavor::MariaDb),
                version: version.unwrap_or_default(),
                version_text: greeting.server_version_str().into_owned(),
            },
            capabilities: greeting.capabilities(),
            plugin,
            nonce,
        })
    }
}

async fn start_tls(
    mut packets: Packets,
    capabilities: CapabilityFlags,
    config: Arc<rustls::ClientConfig>,
    host: &str,
) -> Result<Packets, Failure> {
    let request = SslRequest::new(capabilities, MAX_PACKET_BYTES, COLLATION);
    packets.send(&serialized(&request)).await?;
    let sequence = packets.sequence();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| broken("the host is neither a host name nor an address"))?;
    let stream = packets.into_stream()?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(Failure::Tls)?;
    Ok(Packets::new(Box::new(stream)).with_sequence(sequence))
}

/// Proves who we are, in the way the server asks for.
struct Auth<'a> {
    password: &'a str,
    plugin: AuthPlugin<'static>,
    nonce: Vec<u8>,
    is_encrypted: bool,
}

impl Auth<'_> {
    fn proof(&self) -> Result<Vec<u8>, Failure> {
        if let AuthPlugin::MysqlClearPassword = self.plugin
            && !self.is_encrypted
        {
            return Err(Failure::NeedsEncryption);
        }
        let is_known = !matches!(
            self.plugin,
            AuthPlugin::Other(_) | AuthPlugin::MysqlOldPassword | AuthPlugin::MariadbParsec { .. }
        );
        if !is_known {
            return Err(Failure::Plugin(
                String::from_utf8_lossy(self.plugin.as_bytes()).into_owned(),
            ));
        }
        let data = self.plugin.gen_data(Some(self.password), &self.nonce);
        Ok(data.as_ref().map(serialized).unwrap_or_default())
    }

    async fn finish(&mut self, packets: &mut Packets) -> Result<(), Failure> {
        // A server switches once and then asks once more at most.
        for _ in 0..5 {
            let packet = packets.read().await?;
            match packets.bytes(&packet) {
                [0x00, ..] => return Ok(()),
                bytes @ [0xff, ..] => return Err(server_error(bytes)),
                [0xfe, ..] => self.switch(packets, &packet).await?,
                // caching_sha2_password: the server remembers us.
                [0x01, 0x03, ..] => {}
                // caching_sha2_password: it does not, and wants the password itself.
                [0x01, 0x04, ..] if self.is_encrypted => {
                    packets
                        .send(&[self.password.as_bytes(), &[0]].concat())
                        .await?;
                }
                [0x01, 0x04, ..] => return Err(Failure::NeedsEncryption),
                _ => break,
            }
        }
        Err(broken("the server does not end the login").into())
    }

    async fn switch(&mut self, packets: &mut Packets, packet: &Packet) -> Result<(), Failure> {
        let bytes = packets.bytes(packet);
        if bytes.len() == 1 {
            return Err(Failure::Plugin("mysql_old_password".to_owned()));
        }
        let request: AuthSwitchRequest<'_> = ParseBuf(bytes).parse(())?;
        let nonce = request.plugin_data();
        self.nonce = nonce.strip_suffix(&[0]).unwrap_or(nonce).to_vec();
        self.plugin = request.auth_plugin().into_owned();
        let proof = self.proof()?;
        packets.send(&proof).await?;
        Ok(())
    }
}

fn serialized(message: &impl MySerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.serialize(&mut bytes);
    bytes
}
