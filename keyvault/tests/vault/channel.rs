//! The channel and its limits: whoever says nothing, garbage, too much, or the same again.

use std::sync::Arc;

use jiff::Timestamp;
use keyvault::serve::Server;
use keyvault_protocol::channel::{self, Acceptor};
use keyvault_protocol::{
    AcceptReceipts, AllowCard, Asked, ChannelKey, Client, DenyCard, EndCard, Error, Greeting, Hello,
    Identity, PROTOCOL_VERSION, PhotoKeyContext, PhotoKeyNew, Receipt, RefusalCode, Request, Response, Seal,
    VaultAnchors, frame,
};
use program_contract::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::support::*;

const STREAM: usize = 1 << 16;

/// A connection of whoever listens, that nobody has said a word on.
fn half_open(server: &Arc<Server>) -> DuplexStream {
    let (near, far) = tokio::io::duplex(STREAM);
    drop(server.serve(far));
    near
}

#[tokio::test]
async fn a_thousand_connections_that_say_nothing_or_garbage_stop_nobody() {
    let installation = Installation::new(110).await;
    let server = Server::new(Arc::clone(&installation.vault)).unwrap();
    let mut silent: Vec<DuplexStream> = Vec::new();
    for number in 0..1000 {
        let mut stream = half_open(&server);
        match number % 4 {
            0 => stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap(),
            // The head of a handshake that never comes to an end.
            1 => stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap(),
            _ => {}
        }
        silent.push(stream);
    }
    // Who asks for the status, and who has a key, is served at once: far sooner than the first of them is given up.
    let asking = async {
        let mut client = Client::connect(half_open(&server), &Identity::nobody())
            .await
            .unwrap();
        client.status().await.unwrap();
    };
    tokio::time::timeout(std::time::Duration::from_secs(4), asking)
        .await
        .unwrap();
    // Of the thousand no more than 64 are left; the others were hung up on.
    let mut left = 0;
    for mut stream in silent {
        let mut bytes = Vec::new();
        let ended = tokio::time::timeout(
            std::time::Duration::from_millis(1),
            stream.read_to_end(&mut bytes),
        );
        left += u32::from(ended.await.is_err());
    }
    assert!(left <= 64, "{left}");
}

#[tokio::test]
async fn strangers_take_one_anothers_places_and_no_callers() {
    let installation = Installation::new(111).await;
    let server = Server::new(Arc::clone(&installation.vault)).unwrap();
    let connect = async |identity: &Identity| Client::connect(half_open(&server), identity).await.unwrap();
    let mut caller = connect(&installation.identity().await).await;
    let mut first = connect(&Identity::nobody()).await;
    first.status().await.unwrap();
    let mut later = Vec::new();
    for _ in 0..40 {
        let mut stranger = connect(&Identity::nobody()).await;
        stranger.status().await.unwrap();
        later.push(stranger);
    }
    assert_eq!(first.status().await.unwrap_err().code(), "VAULT_GONE");
    later.pop().unwrap().status().await.unwrap();
    caller.anchors().await.unwrap();
}

/// Whoever is unknown makes the vault keep little: their hello and what they ask behind it are short.
#[tokio::test]
async fn a_long_message_is_taken_of_a_caller_and_of_no_stranger() {
    let installation = Installation::new(116).await;
    let server = Server::new(Arc::clone(&installation.vault)).unwrap();
    let known = installation.identity().await;
    let many = || {
        let receipt = Receipt {
            update: [1; 16],
            receipt: [2; 16],
        };
        vec![receipt; 4000]
    };
    let mut caller = Client::connect(half_open(&server), &known).await.unwrap();
    assert_eq!(caller.accept_receipts(many()).await.unwrap().len(), 4000);
    // The whole of it is on its way when it is refused.
    let (near, far) = tokio::io::duplex(1 << 20);
    drop(server.serve(far));
    let (mut stranger, _) = channel::dial(near, &ChannelKey::fresh(), None).await.unwrap();
    let hello = Hello(Greeting {
        version: PROTOCOL_VERSION,
        client_key: [4; 65],
    });
    for request in [Request::from(hello), AcceptReceipts { receipts: many() }.into()] {
        let asked = Asked { id: [1; 16], request };
        frame::write(&mut stranger, &asked).await.unwrap();
    }
    let welcome: Option<Response> = frame::read(&mut stranger).await.unwrap();
    assert!(matches!(welcome, Some(Response::Welcome(_))));
    let answer: Option<Response> = frame::read(&mut stranger).await.unwrap();
    assert!(matches!(answer, Some(Response::Refused(refusal)) if refusal.code == RefusalCode::Malformed));
    assert!(matches!(
        frame::read::<_, Response>(&mut stranger).await,
        Ok(None)
    ));
}

#[tokio::test]
async fn a_request_that_is_asked_again_under_its_number_is_done_once() {
    let installation = Installation::new(112).await;
    let server = Server::new(Arc::clone(&installation.vault)).unwrap();
    let identity = installation.identity().await;
    let connect = async || Client::connect(half_open(&server), &identity).await.unwrap();
    let session = connect()
        .await
        .open_order(&installation.signed(1, 1))
        .await
        .unwrap();
    let mut card = installation.blanks(1).await.pop().unwrap();
    let mut client = connect().await;
    run(&mut client, &session, 0, &mut card, personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
    let (deny, id) = (DenyCard { serial: card.serial }, client.number());
    client.ask_as(id, deny.clone()).await.unwrap();
    let before = installation.journal().await;
    // The answer was lost: another connection of the same caller, the same number.
    drop(client);
    let mut again = connect().await;
    again.ask_as(id, deny.clone()).await.unwrap();
    assert_eq!(installation.journal().await, before, "nothing was done");
    let other = again.ask_as(id, EndCard { serial: card.serial }).await;
    assert!(other.unwrap_err().is(RefusalCode::RequestIdUsed));
    assert_eq!(installation.journal().await, before);
    // A request that was lost itself: nothing was done, and it is done now.
    let mut lost = connect().await;
    let never = lost.number();
    drop(lost);
    again
        .ask_as(never, AllowCard { serial: card.serial })
        .await
        .unwrap();
    assert_ne!(installation.journal().await, before);
}

#[tokio::test]
async fn a_request_whose_answer_is_forgotten_is_not_done_a_second_time() {
    let mut installation = Installation::new(118).await;
    let server = Server::new(Arc::clone(&installation.vault)).unwrap();
    drop(installation.client().await);
    let photo_store = Identity::of(
        scratch_vault::key(scratch_vault::PHOTO_STORE),
        installation.vault.anchors().await.unwrap(),
        Clock::fixed(installation.clock.now()),
    );
    let connect =
        async |server: &Arc<Server>| Client::connect(half_open(server), &photo_store).await.unwrap();
    let mut client = connect(&server).await;
    // Each time another key, and a line.
    let key = || {
        PhotoKeyNew(PhotoKeyContext {
            photo_id: [1; 16],
            person: [2; 16],
            profile: "chip".into(),
            version: 1,
        })
    };
    let id = client.number();
    client.ask_as(id, key()).await.unwrap();
    // A custodian seals it, and who recorded that seals it with that no second time.
    let share = installation.envelopes[1]
        .open(scratch_vault::passphrase(&installation.envelopes[1].custodian).as_bytes())
        .unwrap();
    let custodian = Identity::custodian(&share.pinned_to(installation.vault.transport_key())).unwrap();
    let mut li = Client::connect(half_open(&server), &custodian).await.unwrap();
    let sealing = li.number();
    li.ask_as(sealing, Seal).await.unwrap();
    installation.unseal().await;
    let before = installation.journal().await;
    let forgotten = |outcome: Result<(), Error>| {
        let error = outcome.unwrap_err();
        assert!(error.is(RefusalCode::RequestForgotten), "{error}");
        assert_eq!(error.exit_code(), 4);
    };
    forgotten(li.ask_as(sealing, Seal).await);
    forgotten(client.ask_as(id, key()).await.map(drop));
    forgotten(connect(&server).await.ask_as(id, key()).await.map(drop));
    assert_eq!(installation.journal().await, before, "nothing was done");
    // On the connection that is older than the seal the next request is new.
    client.ask(key()).await.unwrap();
    // Another process: it knows nothing of what came before it.
    installation.restart(119).await;
    let before = installation.journal().await;
    let server = Server::new(Arc::clone(&installation.vault)).unwrap();
    let next = client.number();
    for number in [id, next] {
        forgotten(connect(&server).await.ask_as(number, key()).await.map(drop));
    }
    assert_eq!(installation.journal().await, before, "nothing was done");
}

#[tokio::test]
async fn a_frame_that_comes_out_of_turn_is_refused_and_ends_the_connection() {
    let installation = Installation::new(113).await;
    let server = Server::new(Arc::clone(&installation.vault)).unwrap();
    let dialed = async || {
        channel::dial(half_open(&server), &ChannelKey::fresh(), None)
            .await
            .unwrap()
            .0
    };
    let hello = || Asked {
        id: [1; 16],
        request: Request::from(Hello(Greeting {
            version: PROTOCOL_VERSION,
            client_key: [4; 65],
        })),
    };
    let refused = |answer: Option<Response>| matches!(answer, Some(Response::Refused(refusal)) if refusal.code == RefusalCode::Malformed);
    // A question before the hello; a second hello; bytes that are no question.
    let mut early = dialed().await;
    let asked = Asked {
        id: [2; 16],
        request: keyvault_protocol::ReadStatus.into(),
    };
    frame::write(&mut early, &asked).await.unwrap();
    assert!(refused(frame::read(&mut early).await.unwrap()));
    assert!(matches!(frame::read::<_, Response>(&mut early).await, Ok(None)));
    let mut twice = dialed().await;
    for _ in 0..2 {
        frame::write(&mut twice, &hello()).await.unwrap();
    }
    let welcome: Option<Response> = frame::read(&mut twice).await.unwrap();
    assert!(matches!(welcome, Some(Response::Welcome(_))));
    assert!(refused(frame::read(&mut twice).await.unwrap()));
    let mut garbage = dialed().await;
    frame::write(&mut garbage, &hello()).await.unwrap();
    let _: Option<Response> = frame::read(&mut garbage).await.unwrap();
    frame::write(&mut garbage, &"no question").await.unwrap();
    assert!(refused(frame::read(&mut garbage).await.unwrap()));
    assert!(matches!(frame::read::<_, Response>(&mut garbage).await, Ok(None)));
}

#[tokio::test]
async fn a_vault_that_is_not_ours_is_told_nothing() {
    let installation = Installation::new(114).await;
    let ours = installation.vault.anchors().await.unwrap();
    let other = Installation::new(115).await;
    let server = Server::new(Arc::clone(&other.vault)).unwrap();
    let clock = || Clock::fixed(Timestamp::UNIX_EPOCH);
    let dial = async |anchors: VaultAnchors| {
        let identity = Identity::of(ChannelKey::fresh(), anchors, clock());
        Client::connect(half_open(&server), &identity).await.map(drop)
    };
    // Another vault; and one with our number, which cannot show our operating key.
    assert_eq!(dial(ours).await.unwrap_err().code(), "VAULT_NOT_OURS");
    let same_number = VaultAnchors {
        vault: other.vault.id(),
        ..ours
    };
    assert_eq!(dial(same_number).await.unwrap_err().code(), "VAULT_NOT_OURS");
    // Who copied an open vault's word for its transport key has not the key.
    let theirs = other.vault.anchors().await.unwrap();
    dial(theirs).await.unwrap();
    let thief = Acceptor::new(&ChannelKey::fresh()).unwrap();
    let (near, far) = tokio::io::duplex(STREAM);
    let (word, _) = channel::dial(half_open(&server), &ChannelKey::fresh(), None)
        .await
        .unwrap();
    let posing = tokio::spawn(async move {
        let (mut far, _) = thief.accept(far).await.unwrap();
        let (mut word, asked) = (word, frame::read::<_, Asked>(&mut far).await.unwrap().unwrap());
        frame::write(&mut word, &asked).await.unwrap();
        let welcome: Response = frame::read(&mut word).await.unwrap().unwrap();
        frame::write(&mut far, &welcome).await.unwrap();
        frame::read::<_, Asked>(&mut far).await.ok().flatten()
    });
    let identity = Identity::of(ChannelKey::fresh(), theirs, clock());
    let deceived = Client::connect(near, &identity).await;
    assert_eq!(deceived.err().unwrap().code(), "VAULT_NOT_OURS");
    assert!(posing.await.unwrap().is_none(), "nothing was asked of him");
}
