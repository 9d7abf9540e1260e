/// Where a store has its clips from, if not from block files of its own.
package protocol ClipSupply: Sendable {
  /// These are read next, in this order. Returns at once.
  func willNeed(_ clips: [Int])
  /// A clip's half-precision features, as a block file has them, checked. Waits for them.
  func bytes(ofClip clip: Int) throws -> [UInt8]
}
