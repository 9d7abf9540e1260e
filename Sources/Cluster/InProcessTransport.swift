/// Links between threads of one process: the protocol without a network, for tests.
///
/// Keeps what both sides rely on: whole messages in order, a bound on what waits, `unreachable` for a peer
/// that is gone, `disconnected` for a worker whose coordinator is gone.
package final class InProcessTransport: Transport {
  private struct Listeners: Sendable {
    var posts: [String: Post] = [:]
    var unnamed = 0
  }
  private let listeners = Guarded(Listeners())
  private let capacity: Int

  /// - Parameter capacity: messages of one sender that may wait at a receiver
  package init(capacity: Int = 16) {
    self.capacity = capacity
  }

  /// - Parameter address: any name, or `*` for a fresh one
  package func listen(at address: String) throws(ClusterError) -> any Link {
    let post = Post()
    let name: String? = listeners.update { listeners in
      if address == "*" { listeners.unnamed += 1 }
      let name = address == "*" ? "in-process-\(listeners.unnamed)" : address
      if let present = listeners.posts[name], present.isOpen { return nil }
      listeners.posts[name] = post
      return name
    }
    guard let name else {
      throw ClusterError(
        .unavailable, attempt: "listen", place: address, detail: "the address is already in use")
    }
    return InProcessLink(address: name, own: post, capacity: capacity, findCoordinator: nil)
  }

  package func connect(to address: String) throws(ClusterError) -> any Link {
    // Like a socket, a link may be opened before the listener is there.
    InProcessLink(address: address, own: Post(), capacity: capacity) { [listeners] in
      listeners.value.posts[address]
    }
  }
}

/// Where one link's messages wait.
private final class Post: Sendable {
  struct State: Sendable {
    var messages: [(from: PeerID, bytes: [UInt8])] = []
    var peers: [PeerID: Post] = [:]
    var isOpen = true
    var isWoken = false
  }
  let state = Guarded(State())

  var isOpen: Bool { state.value.isOpen }

  /// What would become of a message from `sender` now; as each sender has one thread, it stays true.
  func delivery(from sender: PeerID, capacity: Int) -> Delivery {
    state.update { state in
      guard state.isOpen else { return .unreachable }
      return state.messages.count { $0.from == sender } < capacity ? .sent : .wouldBlock
    }
  }
}

private final class InProcessLink: Link {
  let address: String
  let waker: Waker
  private let own: Post
  private let capacity: Int
  /// Nil on the coordinator's side.
  private let findCoordinator: (() -> Post?)?
  private let identity = PeerID.random()
  private var coordinator: Post?

  init(address: String, own: Post, capacity: Int, findCoordinator: (() -> Post?)?) {
    self.address = address
    self.own = own
    self.capacity = capacity
    self.findCoordinator = findCoordinator
    waker = Waker { own.state.update { $0.isWoken = true } }
  }

  func send(
    to peer: PeerID, byteCount: Int, write: (UnsafeMutableRawBufferPointer) -> Void
  ) -> Delivery {
    let isWorker = findCoordinator != nil
    let sender = isWorker ? identity : .coordinator
    guard let post = isWorker ? connectedCoordinator() : own.state.value.peers[peer] else {
      return isWorker ? .wouldBlock : .unreachable
    }
    let delivery = post.delivery(from: sender, capacity: capacity)
    guard delivery == .sent else { return delivery }
    let bytes = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      write(UnsafeMutableRawBufferPointer(buffer))
      count = byteCount
    }
    post.state.update { $0.messages.append((sender, bytes)) }
    return .sent
  }

  func receive(_ body: (PeerID, RawSpan) -> Void) -> Reception {
    let next = own.state.update { state in
      state.messages.isEmpty ? nil : state.messages.removeFirst()
    }
    if let next {
      body(next.from, next.bytes.span.bytes)
      return .message
    }
    if let coordinator, !coordinator.isOpen { return .disconnected }
    return .nothing
  }

  func wait(forMessages: Bool, until deadline: ContinuousClock.Instant) {
    own.state.wait(until: deadline) { state -> Void? in
      guard state.isWoken || (forMessages && !state.messages.isEmpty) else { return nil }
      state.isWoken = false
      return ()
    }
  }

  func close(linger: Duration) {
    own.state.update { state in
      state.isOpen = false
      for post in state.peers.values { post.state.update { $0.isWoken = true } }
      state.peers = [:]
      state.messages = []
    }
    coordinator?.state.update { $0.peers[identity] = nil }
  }

  /// The listener's post, found at the first send that it is there for.
  private func connectedCoordinator() -> Post? {
    if coordinator == nil, let post = findCoordinator?(), post.isOpen {
      post.state.update { $0.peers[identity] = own }
      coordinator = post
    }
    return coordinator
  }
}
