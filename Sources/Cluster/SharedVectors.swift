import CMemory
import Glibc
import Synchronization

/// Memory for vectors that one process writes and another on the same machine reads, or many: then the system
/// lets nobody else write.
///
/// It is a file without a name, handed from a parent to the children it starts, so that nobody else can
/// open it and nothing of it is left when they are gone. It is cut into slots of one vector each; pages
/// that nobody has touched take no memory. A reader learns from a message which slot to look at.
///
/// Nothing is copied out of it, and nothing counts readers, because the steps keep them apart:
///
/// - Parameters alternate between two slots, and workers compute with them where they lie. Who is so late that
///   they change meanwhile computes for a step, or an evaluation, that is over: nobody takes his answer. Who
///   finds others than were meant has a content hash that tells.
/// - A worker computes a lane, and makes a sum, in the slot of the first lane, when the coordinator has asked
///   for it and at no other time. What it has sent waits there for the others' until the step's sum is made.
///   Meanwhile it may be asked for other lanes, but not for one that it may have sent (see `StepWork`).
/// - A message names a slot when all of it is written. Who dies before has sent none.
package final class SharedVectors: @unchecked Sendable {
  /// Where a vector lies.
  package struct Place: Equatable, Sendable {
    var slot: Int
    var count: Int
  }

  /// To hand on to a child.
  package let descriptor: Int32
  /// Drawn at random: who knows it has the memory.
  package let token: String
  let slots: Int
  /// Elements in a slot.
  package let length: Int
  private let base: UnsafeMutableRawPointer
  private let size: Int
  private let slotBytes: Int
  private let written = Atomic<Int>(0)

  /// The file begins with a page of its own: magic, slots, elements in a slot, token.
  private static let magic: UInt64 = 0x736C_6F74_4954_5554
  private static let headerBytes = 4096

  /// Slots begin with a page too.
  private static func slotBytes(_ length: Int) -> Int {
    (length * MemoryLayout<Float>.stride + 4095) / 4096 * 4096
  }

  /// - Throws: `ClusterError.system` if the system gives no such memory
  package init(slots: Int, length: Int) throws(ClusterError) {
    precondition(slots > 0 && length >= 0, "\(slots) slots of \(length) elements")
    let descriptor = anonymous_file("tutti")
    guard descriptor >= 0 else { throw Self.failure("make shared memory") }
    slotBytes = Self.slotBytes(length)
    size = Self.headerBytes + slots * slotBytes
    guard ftruncate(descriptor, size) == 0, let base = Self.map(descriptor, size) else {
      defer { close(descriptor) }
      throw Self.failure("make shared memory")
    }
    let word = UInt64.random(in: .min ... .max)
    for (index, value) in [Self.magic, UInt64(slots), UInt64(length), word].enumerated() {
      base.storeBytes(of: value, toByteOffset: 8 * index, as: UInt64.self)
    }
    (self.descriptor, self.slots, self.length, self.base) = (descriptor, slots, length, base)
    token = String(word, radix: 16)
  }

  /// Opens what a parent has handed on; the descriptor is this object's from now on.
  ///
  /// - Parameter isWritten: whether this process writes there
  /// - Throws: `ClusterError.system` if it is something else
  package init(inherited descriptor: Int32, isWritten: Bool) throws(ClusterError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size >= Self.headerBytes,
      let base = Self.map(descriptor, Int(status.st_size), isWritten: isWritten)
    else { throw Self.failure("open shared memory") }
    let words = (0..<4).map { base.load(fromByteOffset: 8 * $0, as: UInt64.self) }
    let room = Int(status.st_size) - Self.headerBytes
    guard words[0] == Self.magic, let slots = Int(exactly: words[1]), slots > 0,
      let length = Int(exactly: words[2]), length <= room / MemoryLayout<Float>.stride,
      Self.slotBytes(length) <= room / slots
    else {
      munmap(base, Int(status.st_size))
      throw Self.failure("open shared memory", "descriptor \(descriptor) holds something else")
    }
    (self.descriptor, self.slots, self.length, self.base) = (descriptor, slots, length, base)
    slotBytes = Self.slotBytes(length)
    size = Int(status.st_size)
    token = String(words[3], radix: 16)
  }

  /// From now on nobody can write there who cannot do so already; old systems allow it still.
  func seal() { seal_against_writing(descriptor) }

  deinit {
    munmap(base, size)
    close(descriptor)
  }

  /// Bytes of the vectors that this process has put here.
  package var bytesWritten: Int { written.load(ordering: .relaxed) }

  /// The values at a place that `contains` has let pass.
  func elements(at place: Place) -> UnsafeMutableBufferPointer<Float> {
    precondition(contains(place), "\(place) lies outside of \(slots) slots of \(length)")
    let start = Self.headerBytes + place.slot * slotBytes
    return UnsafeMutableBufferPointer(
      start: (base + start).assumingMemoryBound(to: Float.self), count: place.count)
  }

  /// Gives what is in all other slots back to the system: it is not wanted any more.
  func keep(only kept: Range<Int>) {
    func start(of slot: Int) -> Int { Self.headerBytes + slot * slotBytes }
    for bytes in [start(of: 0)..<start(of: kept.lowerBound), start(of: kept.upperBound)..<size]
    where !bytes.isEmpty {
      // If the system cannot, the pages stay until the memory goes.
      madvise(base + bytes.lowerBound, bytes.count, MADV_REMOVE)
    }
  }

  func contains(_ place: Place) -> Bool {
    (0..<slots).contains(place.slot) && (0...length).contains(place.count)
  }

  /// Writes a parcel's vector, if it is one of those that travel this way and fits.
  ///
  /// - Returns: the parcel to send in its stead; nil if it must travel itself
  func place(_ parcel: Parcel) -> Parcel? {
    guard case .floats(let vector) = parcel.payload else { return nil }
    let slot: Int
    switch parcel.subject.kind {
    case .parameters: slot = parcel.subject.step % slots
    case .partial: slot = parcel.subject.range.lowerBound
    default: return nil
    }
    let made = vector.place(in: self)
    let place = made ?? Place(slot: slot, count: vector.count)
    guard contains(place) else { return nil }
    if made == nil { vector.withSpan(VectorBuffer(place, in: self).copy) }
    written.add(vector.count * MemoryLayout<Float>.stride, ordering: .relaxed)
    return Parcel(subject: parcel.subject, payload: .place(place))
  }

  private static func map(
    _ descriptor: Int32, _ size: Int, isWritten: Bool = true
  ) -> UnsafeMutableRawPointer? {
    let protection = isWritten ? PROT_READ | PROT_WRITE : PROT_READ
    let base = mmap(nil, size, protection, MAP_SHARED, descriptor, 0)
    return base == MAP_FAILED ? nil : base
  }

  private static func failure(_ attempt: String, _ detail: String? = nil) -> ClusterError {
    ClusterError(
      .system, attempt: attempt, place: "this machine",
      detail: detail ?? String(cString: strerror(errno)))
  }
}

/// What a worker shares with the coordinator that has started it.
package struct WorkerMemory: Sendable {
  package let parameters: SharedVectors
  package let partials: SharedVectors

  package init(parameters: SharedVectors, partials: SharedVectors) {
    self.parameters = parameters
    self.partials = partials
  }

  /// Under this name a worker's hello says which memory it has.
  static let key = "memory"
}

/// What a coordinator shares with the workers that it starts: memory that it writes for all of them, and
/// one for each to write.
package final class CoordinatorMemory: Sendable {
  package let parameters: SharedVectors
  private let lanes: Int
  private let partials = Guarded<[String: SharedVectors]>([:])

  /// - Parameter length: elements in the largest vector
  package init(lanes: Int, length: Int) throws(ClusterError) {
    self.lanes = lanes
    parameters = try SharedVectors(slots: 2, length: length)
    // The run's own weights lie there: no child's mistake may change them.
    parameters.seal()
  }

  /// Memory for one worker's sums, for one life of it.
  package func forWorker() throws(ClusterError) -> SharedVectors {
    let memory = try SharedVectors(slots: lanes, length: parameters.length)
    partials.update { $0[memory.token] = memory }
    return memory
  }

  /// What a worker has whose hello names `token`; nil for any other.
  func take(_ token: String?) -> SharedVectors? {
    guard let token else { return nil }
    return partials.update { $0.removeValue(forKey: token) }
  }
}
