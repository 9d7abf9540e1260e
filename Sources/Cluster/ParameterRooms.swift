/// Where a coordinator makes the parameters of one step after another, so that nobody has to copy them: where
/// workers of this machine read them, or, without shared memory, in buffers that nobody reads any more.
///
/// Who is still sent the parameters of a step that is over may get a mixture with later ones. His answer belongs
/// to that step, and is not taken (see `SharedVectors`).
package struct ParameterRooms {
  private let memory: SharedVectors?
  private var buffers: [VectorBuffer] = []

  /// Buffers that are kept: one that is read, one that is written, and one on its way to somebody slow.
  private static let most = 3

  package init(_ memory: CoordinatorMemory?) { self.memory = memory?.parameters }

  /// Room for `count` parameters of a step, with anything in it.
  package mutating func room(ofStep step: Int, count: Int) -> VectorBuffer {
    if let memory, count <= memory.length {
      return VectorBuffer(SharedVectors.Place(slot: step % memory.slots, count: count), in: memory)
    }
    for index in buffers.indices where buffers[index].elements.count == count {
      if isKnownUniquelyReferenced(&buffers[index]) { return buffers[index] }
    }
    let buffer = VectorBuffer(count: count)
    if buffers.count < Self.most { buffers.append(buffer) }
    return buffer
  }
}
