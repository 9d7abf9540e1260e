/// A bounded queue between the compute thread and an I/O thread, first in, first out.
///
/// The bound is on weight (bytes, roughly). One item is always taken in, however heavy, so the most that
/// can be held is the capacity plus one item.
final class Mailbox<Item: Sendable>: Sendable {
  enum Taken {
    case item(Item)
    case interrupted
    /// Closed, and everything in it was taken.
    case closed
    case timedOut
  }

  enum Put {
    case accepted
    case interrupted
    case closed
  }

  private struct State: Sendable {
    var items: [(item: Item, weight: Int)] = []
    var weight = 0
    var closed = false
    var interrupted = false
  }

  private let capacity: Int
  private let state = Guarded(State())

  init(capacity: Int) {
    self.capacity = capacity
  }

  var isEmpty: Bool { state.value.items.isEmpty }
  var isClosed: Bool { state.value.closed }
  var isFull: Bool { state.value.weight >= capacity }

  /// Waits for room.
  func put(_ item: Item, weight: Int) -> Put {
    state.wait(until: nil) { state in
      if state.closed { return .closed }
      if state.weight < self.capacity {
        state.items.append((item, weight))
        state.weight += weight
        return .accepted
      }
      if state.interrupted {
        state.interrupted = false
        return .interrupted
      }
      return nil
    } ?? .closed
  }

  /// Never waits: for a producer that looks at `isFull` by itself, and for what must not be lost.
  func post(_ item: Item, weight: Int) {
    state.update { state in
      guard !state.closed else { return }
      state.items.append((item, weight))
      state.weight += weight
    }
  }

  func take(until deadline: ContinuousClock.Instant?) -> Taken {
    state.wait(until: deadline) { state in
      if state.interrupted {
        state.interrupted = false
        return .interrupted
      }
      if !state.items.isEmpty {
        let (item, weight) = state.items.removeFirst()
        state.weight -= weight
        return .item(item)
      }
      return state.closed ? .closed : nil
    } ?? .timedOut
  }

  /// The first item, if there is one.
  func poll() -> Item? {
    state.update { state in
      guard !state.items.isEmpty else { return nil }
      let (item, weight) = state.items.removeFirst()
      state.weight -= weight
      return item
    }
  }

  /// Wakes one blocked call, or the next that would block.
  func interrupt() { state.update { $0.interrupted = true } }

  /// Takes an interruption back that another mailbox has delivered.
  func clearInterrupt() { state.update { $0.interrupted = false } }

  /// Refuses what comes from now on; what is in it, and `last`, can still be taken.
  func close(with last: Item? = nil) {
    state.update { state in
      guard !state.closed else { return }
      if let last { state.items.append((last, 0)) }
      state.closed = true
    }
  }
}
