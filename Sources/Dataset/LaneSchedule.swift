import Synchronization

/// Which clips a lane computes at a step.
///
/// *Partition.* Clips are dealt to lanes in rounds of one clip a lane; round r is dealt starting at
/// lane `rotation(r)`, so that neighbours in the store go to different lanes and no period in the
/// store meets a period of lanes. Partitions never change, and their sizes differ by one at most.
///
/// *Order.* In each epoch a lane visits its partition in the order of a Fisher–Yates shuffle whose
/// words are `random(epoch, lane, 0)`, `random(epoch, lane, 1)`, … in turn. A word becomes a number
/// below n by Lemire's multiplication with rejection (arXiv:1805.10941), which is exactly uniform.
///
/// *Steps.* An epoch has S steps: as few as let no lane compute more than `clipsPerLane` clips at
/// once. A lane spreads its P clips over all of them: step s takes elements ⌊(s·P + φ)/S⌋ to
/// ⌊((s+1)·P + φ)/S⌋ of its order. What does not divide evenly thus leaves no small batch at the end,
/// whose statistics would be noise: over all steps and lanes, batches differ by one clip at most. The
/// phase φ = ⌊lane·S/L⌋ of L lanes lets them have their smaller batches at different steps.
///
/// So each clip is visited once an epoch, and what a lane computes depends on (seed, epoch, step,
/// lane) alone, the seed being inside `random`.
package struct LaneSchedule: Sendable {
  package typealias Random = @Sendable (_ epoch: Int, _ lane: Int, _ index: Int) -> UInt32

  package let clips: Range<Int>
  package let lanes: Int
  /// The most clips of a lane at a step.
  package let clipsPerLane: Int
  package let stepsPerEpoch: Int
  private let random: Random
  private let recent: RecentOrders

  /// - Parameters:
  ///   - clips: the clips to visit, usually a store's train split; fewer than 2³²
  ///   - random: counter-based: the same word for the same arguments, whenever it is asked
  package init(clips: Range<Int>, lanes: Int, clipsPerLane: Int, random: @escaping Random) {
    precondition(lanes > 0 && clipsPerLane > 0, "\(lanes) lanes of \(clipsPerLane) clips")
    precondition(clips.count < 1 << 32, "\(clips.count) clips are more than a word can number")
    self.clips = clips
    self.lanes = lanes
    self.clipsPerLane = clipsPerLane
    self.random = random
    let largestPartition = (clips.count + lanes - 1) / lanes
    stepsPerEpoch = (largestPartition + clipsPerLane - 1) / clipsPerLane
    recent = RecentOrders(lanes: lanes)
  }

  /// The clips of one lane at one step, in the order in which they are computed.
  package func clips(epoch: Int, step: Int, lane: Int) -> [Int] {
    let range = elements(step: step, lane: lane)
    guard !range.isEmpty else { return [] }
    let order = recent.order(epoch: epoch, lane: lane) { shuffle(epoch: epoch, lane: lane) }
    return order[range].map { clip(Int($0), lane: lane) }
  }

  /// How many clips a lane has at a step of any epoch.
  package func clipCount(step: Int, lane: Int) -> Int { elements(step: step, lane: lane).count }

  /// How many clips all lanes together have at a step of any epoch: what gradients are divided by.
  package func clipCount(step: Int) -> Int {
    (0..<lanes).reduce(0) { $0 + clipCount(step: step, lane: $1) }
  }

  /// The clips that belong to a lane, in the order of the store.
  package func partition(lane: Int) -> [Int] {
    (0..<partitionSize(lane: lane)).map { clip($0, lane: lane) }
  }

  package func partitionSize(lane: Int) -> Int {
    precondition((0..<lanes).contains(lane), "lane \(lane) of \(lanes)")
    let (rounds, rest) = clips.count.quotientAndRemainder(dividingBy: lanes)
    return rounds + (position(lane: lane, round: rounds) < rest ? 1 : 0)
  }

  // MARK: Partition

  /// The clip that a lane was dealt in a round.
  private func clip(_ round: Int, lane: Int) -> Int {
    clips.lowerBound + round * lanes + position(lane: lane, round: round)
  }

  /// Where in its round a lane comes.
  private func position(lane: Int, round: Int) -> Int {
    (lane - rotation(round) + lanes) % lanes
  }

  /// Fibonacci hashing: multiples of 2⁶⁴/φ spread evenly, whatever the rounds have in common.
  private func rotation(_ round: Int) -> Int {
    let hash = UInt64(round) &* 0x9E37_79B9_7F4A_7C15
    return Int(hash.multipliedFullWidth(by: UInt64(lanes)).high)
  }

  // MARK: Order

  private func elements(step: Int, lane: Int) -> Range<Int> {
    precondition((0..<stepsPerEpoch).contains(step), "step \(step) of \(stepsPerEpoch)")
    let size = partitionSize(lane: lane)
    let phase = lane * stepsPerEpoch / lanes
    func first(_ step: Int) -> Int { (step * size + phase) / stepsPerEpoch }
    return first(step)..<first(step + 1)
  }

  /// A permutation of the rounds of a lane.
  private func shuffle(epoch: Int, lane: Int) -> [UInt32] {
    var order = (0..<UInt32(partitionSize(lane: lane))).map { $0 }
    var index = 0
    func below(_ bound: UInt32) -> Int {
      let reject = (0 &- bound) % bound
      while true {
        let product = random(epoch, lane, index).multipliedFullWidth(by: bound)
        index += 1
        if product.low >= reject { return Int(product.high) }
      }
    }
    for last in order.indices.dropFirst().reversed() {
      order.swapAt(last, below(UInt32(last + 1)))
    }
    return order
  }
}

/// The latest order of each lane, because consecutive steps ask for the same one.
private final class RecentOrders: Sendable {
  private let entries: Mutex<[(epoch: Int, order: [UInt32])?]>

  init(lanes: Int) { entries = Mutex(Array(repeating: nil, count: lanes)) }

  func order(epoch: Int, lane: Int, compute: () -> [UInt32]) -> [UInt32] {
    if let entry = entries.withLock({ $0[lane] }), entry.epoch == epoch { return entry.order }
    let order = compute()
    entries.withLock { $0[lane] = (epoch, order) }
    return order
  }
}
