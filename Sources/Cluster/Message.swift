/// All that coordinator and workers say to each other.
///
/// | message | from | when |
/// |---|---|---|
/// | hello | worker | first of all: who I am |
/// | welcome, refuse | coordinator | the answer to hello: the run's configuration, or why not |
/// | ready | worker | my data are checked, I can take lanes |
/// | parameters | coordinator | the parameters that hold at the beginning of a step |
/// | compute | coordinator | compute these lanes of this step |
/// | partial | worker | the sum over one node of the lane tree |
/// | timing | worker | where the time of a step's lanes went, before the last partial |
/// | spans | worker | what I did and when, before the answer that it led to; where the welcome asks for it |
/// | notFinite | worker | a lane's vector has a NaN or an infinity in it, before its sum |
/// | listening | worker | where other workers can reach me, before ready |
/// | plan, linked | both | who shares the next steps' vectors; whether I have reached them |
/// | slice | both | an owner's part of a sum (from him) or of the parameters (to him, and among workers) |
/// | gather | coordinator | send the step's sums to me |
/// | need | worker | I miss the parameters of a step |
/// | fetch | worker | send me bytes of the data: I have no store |
/// | piece | coordinator | here they are, or why not |
/// | evaluate, scores | both | a job of forward passes, and its outputs |
/// | heartbeat | both | I am alive (sent and taken by the I/O threads) |
/// | drain | both | finish what you hold (to a worker), I leave after what I hold (from one) |
/// | bye | both | I am gone |
/// | error | both | something of yours was refused, or I failed |
package enum Message: Equatable, Sendable {
  case hello(Hello)
  case welcome(Welcome)
  case refuse(reason: String)
  /// `proofHash` is the content hash of a canonical lane's gradient, 0 if none was asked for.
  case ready(proofHash: UInt64)
  case parameters(Parameters)
  case compute(Compute)
  case partial(Partial)
  case timing(Timing)
  case spans([WorkSpan])
  case notFinite(NotFinite)
  case listening(String)
  case plan(Plan)
  case linked(version: UInt64, reached: Bool)
  case slice(Slice)
  case gather(step: Int)
  case need(step: Int)
  case fetch(Fetch)
  case piece(Piece)
  case evaluate(Evaluate)
  case scores(Scores)
  case heartbeat(Progress, ClockStamps = .none)
  case drain
  case bye
  case error(ErrorCode, String)
}

/// A worker's introduction.
package struct Hello: Equatable, Sendable {
  package var build: String
  package var host: String
  package var processID: Int
  package var threads: Int
  package var processor: String
  /// Anything else that is small.
  package var more: [String: String]
  /// The key that it has shown, as the coordinator's transport knows it; never sent.
  package var key: KnownKey?

  package init(
    build: String, host: String, processID: Int, threads: Int, processor: String,
    more: [String: String] = [:]
  ) {
    self.build = build
    self.host = host
    self.processID = processID
    self.threads = threads
    self.processor = processor
    self.more = more
  }
}

/// What a worker needs to take part. Run and term are those of the frame.
package struct Welcome: Equatable, Sendable {
  /// The resolved configuration, as text.
  package var configuration: String
  package var storeFingerprint: String
  /// Anything else that is small.
  package var more: [String: String]

  package init(configuration: String, storeFingerprint: String, more: [String: String] = [:]) {
    self.configuration = configuration
    self.storeFingerprint = storeFingerprint
    self.more = more
  }
}

/// The parameters before `step`.
package struct Parameters: Equatable, Sendable {
  package var step: Int
  package var values: FloatVector

  package init(step: Int, values: FloatVector) {
    self.step = step
    self.values = values
  }
}

/// An order to compute some lanes' gradients.
package struct Compute: Equatable, Sendable {
  /// Counted over the whole run.
  package var step: Int
  package var epoch: Int
  package var stepInEpoch: Int
  package var lanes: Range<Int>
  /// Clips in the whole step, over all lanes: what a mean divides by.
  package var clipsInStep: Int
  /// Whether the timing has to tell the hash of the last lane's vector.
  package var isAudited: Bool
  /// The plan by which sums are shared; 0 sends them to the coordinator.
  package var plan: UInt64

  package init(
    step: Int, epoch: Int, stepInEpoch: Int, lanes: Range<Int>, clipsInStep: Int,
    isAudited: Bool = false, plan: UInt64 = 0
  ) {
    self.plan = plan
    self.step = step
    self.epoch = epoch
    self.stepInEpoch = stepInEpoch
    self.lanes = lanes
    self.clipsInStep = clipsInStep
    self.isAudited = isAudited
  }
}

/// The sum of a step's vectors over one node of the lane tree.
package struct Partial: Equatable, Sendable {
  package var step: Int
  package var node: Range<Int>
  package var values: FloatVector
  /// Content hash of the parameters that the vectors were computed with.
  package var parametersHash: UInt64

  package init(step: Int, node: Range<Int>, values: FloatVector, parametersHash: UInt64) {
    self.step = step
    self.node = node
    self.values = values
    self.parametersHash = parametersHash
  }
}

/// Who shares vectors: the owners of the slices, in order.
package struct Plan: Equatable, Sendable {
  package struct Owner: Equatable, Sendable {
    package var address: String
    /// The key that it has shown the coordinator; nil where connections are not encrypted.
    package var key: PublicKey?

    package init(_ address: String, key: PublicKey? = nil) {
      (self.address, self.key) = (address, key)
    }
  }

  /// Never 0.
  package var version: UInt64
  /// The place of the worker that it is sent to.
  package var index: Int
  package var owners: [Owner]

  package init(version: UInt64, index: Int, owners: [Owner]) {
    self.version = version
    self.index = index
    self.owners = owners
  }
}

/// An owner's part of a step's vector.
package struct Slice: Equatable, Sendable {
  package var step: Int
  package var index: Int
  package var values: FloatVector
  /// Content hash of the whole parameters: those that are cut, or those that a sum was computed with.
  package var hash: UInt64

  package init(step: Int, index: Int, values: FloatVector, hash: UInt64) {
    self.step = step
    self.index = index
    self.values = values
    self.hash = hash
  }
}

/// Where a worker's time went while it computed its lanes of a step.
package struct Timing: Equatable, Sendable {
  package var step: Int
  package var lanes: Range<Int>
  /// From the order to the last lane's vector.
  package var elapsed: Duration
  /// The part of it in which the worker stood waiting for clips to be read.
  package var waited: Duration
  /// Content hash of the last lane's vector, if the order asked for it.
  package var hash: UInt64

  package init(
    step: Int, lanes: Range<Int>, elapsed: Duration, waited: Duration, hash: UInt64 = 0
  ) {
    self.hash = hash
    self.step = step
    self.lanes = lanes
    self.elapsed = elapsed
    self.waited = waited
  }
}

/// Something in a lane's vector is no number.
package struct NotFinite: Equatable, Sendable {
  package var step: Int
  package var lane: Int
  /// What it is and which clips have made it, for people.
  package var what: String

  package init(step: Int, lane: Int, what: String) {
    self.step = step
    self.lane = lane
    self.what = what
  }
}

/// An order to run clips through the network with the parameters that were sent last.
package struct Evaluate: Equatable, Sendable {
  package var job: Int
  package var split: String
  /// Positions in the split.
  package var clips: Range<Int>

  package init(job: Int, split: String, clips: Range<Int>) {
    self.job = job
    self.split = split
    self.clips = clips
  }
}

/// The outputs for those clips.
package struct Scores: Equatable, Sendable {
  package var job: Int
  package var clips: Range<Int>
  package var values: FloatVector
  /// Content hash of the parameters that they were computed with.
  package var parametersHash: UInt64

  package init(job: Int, clips: Range<Int>, values: FloatVector, parametersHash: UInt64) {
    self.job = job
    self.clips = clips
    self.values = values
    self.parametersHash = parametersHash
  }
}

/// How far a peer is: `done` of `total` units (clips, say) of the step.
package struct Progress: Hashable, Sendable {
  package var step: Int
  package var done: Int
  package var total: Int

  package init(step: Int, done: Int, total: Int) {
    self.step = step
    self.done = done
    self.total = total
  }

  package static let none = Progress(step: 0, done: 0, total: 0)
}

/// Why something was refused. Codes below 1000 are the protocol's own; others are the program's.
package struct ErrorCode: RawRepresentable, Hashable, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let malformed = ErrorCode(rawValue: 1)
  package static let version = ErrorCode(rawValue: 2)
  package static let tooLarge = ErrorCode(rawValue: 3)
  /// The coordinator does not know this peer, or no longer: say hello with a new connection.
  package static let notJoined = ErrorCode(rawValue: 4)
  /// The coordinator takes no more peers.
  package static let full = ErrorCode(rawValue: 5)
  /// Another run, or another term of it.
  package static let stale = ErrorCode(rawValue: 6)
}
