import Cluster
import Foundation
import Testing

/// Every fault in every phase of a run, on either side: the run leaves the same bytes.
///
/// One worker computes everything, so that nobody else can make good what a fault has spoilt: what is
/// lost must be noticed, said and done again, or the run stands still for ever. Vectors travel in two
/// chunks. A cell whose fault did not happen fails.
@Suite("Chaos")
struct ChaosTests {
  /// A fault in a phase, on a side: of a process its own, of messages those that it sends.
  struct Cell: Sendable, CustomTestStringConvertible {
    let fault: Fault
    let phase: Phase
    let side: Proxy.Side

    var testDescription: String { "\(fault) \(phase) \(side)" }

    /// A message can only be harmed by a side that has something to say in that phase.
    var canOccur: Bool { !fault.isOfMessages || phase.message(from: side) != nil }
  }

  enum Fault: String, CaseIterable, Sendable {
    case kill, stop
    case cut, delay, duplicate, drop, reorder, garbage

    var isOfMessages: Bool { self != .kill && self != .stop }
  }

  enum Phase: String, CaseIterable, Sendable {
    case joining, waiting, computing, sending
    case receivingParameters = "receiving parameters"
    case validating, checkpointing

    /// What a side says in this phase, for a fault of messages; nothing but heartbeats is nil.
    func message(from side: Proxy.Side) -> MessageKind? {
      switch (self, side) {
      case (.joining, .worker): .ready
      case (.joining, .coordinator): .welcome
      case (.waiting, _), (.checkpointing, _): .heartbeat
      case (.computing, .worker): .timing
      case (.computing, .coordinator): .compute
      case (.sending, .worker): .partial
      case (.receivingParameters, .coordinator): .parameters
      case (.validating, .worker): .scores
      case (.validating, .coordinator): .evaluate
      case (.sending, .coordinator), (.receivingParameters, .worker): nil
      }
    }

    /// The message in whose wake a process is in this phase; none for those that the test itself sees.
    var beginning: (sender: Proxy.Side, kind: MessageKind)? {
      switch self {
      case .joining: (.coordinator, .welcome)
      case .waiting, .checkpointing: nil
      case .computing: (.coordinator, .compute)
      case .sending: (.worker, .partial)
      case .receivingParameters: (.coordinator, .parameters)
      case .validating: (.coordinator, .evaluate)
      }
    }
  }

  private static let cells = Fault.allCases.flatMap { fault in
    Phase.allCases.flatMap { phase in
      Proxy.Side.allCases.map { Cell(fault: fault, phase: phase, side: $0) }
    }
  }.filter(\.canOccur)
  static let processCells = cells.filter { !$0.fault.isOfMessages }
  static let messageCells = cells.filter { $0.fault.isOfMessages }

  @Test("a process is killed or stopped", arguments: processCells)
  func process(cell: Cell) throws { try ChaosRun(cell).expectSameBytes() }

  @Test("messages are cut off, late, doubled, lost, swapped or damaged", arguments: messageCells)
  func messages(cell: Cell) throws { try ChaosRun(cell).expectSameBytes() }

  /// The first word of a worker can be harmed too, but nothing follows that it could be swapped with.
  @Test(
    "a worker's hello is harmed", arguments: [Fault.cut, .delay, .duplicate, .drop, .garbage])
  func hello(fault: Fault) throws {
    try ChaosRun(Cell(fault: fault, phase: .joining, side: .worker), kind: .hello).expectSameBytes()
  }
}
