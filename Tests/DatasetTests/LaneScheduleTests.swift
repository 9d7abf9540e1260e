import Dataset
import Testing

/// A counter-based random function: SplitMix64's finalizer over the mixed arguments.
private let random: LaneSchedule.Random = { epoch, lane, index in
  var z = UInt64(epoch) &* 0x9E37_79B9_7F4A_7C15
  z = (z ^ UInt64(lane)) &* 0xD1B5_4A32_D192_ED03
  z = (z ^ UInt64(index)) &* 0x9E37_79B9_7F4A_7C15
  z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
  return UInt32(truncatingIfNeeded: z ^ (z >> 31))
}

@Suite struct LaneScheduleTests {
  struct Shape: CustomTestStringConvertible, Sendable {
    let clips: Range<Int>
    let lanes: Int
    let clipsPerLane: Int
    var testDescription: String { "\(clips), \(lanes) lanes of \(clipsPerLane)" }
    var schedule: LaneSchedule {
      LaneSchedule(clips: clips, lanes: lanes, clipsPerLane: clipsPerLane, random: random)
    }
  }

  static let shapes: [Shape] = [0, 1, 2, 7, 8, 9, 64, 100, 257].flatMap { count in
    [1, 2, 3, 8, 16].flatMap { lanes in
      [1, 2, 5, 32].map { Shape(clips: 10..<10 + count, lanes: lanes, clipsPerLane: $0) }
    }
  }

  @Test("each clip is visited once an epoch, by the lane whose it is", arguments: shapes)
  func onceAnEpoch(_ shape: Shape) {
    let schedule = shape.schedule
    for epoch in [0, 1, 5] {
      var visited: [Int] = []
      for lane in 0..<shape.lanes {
        let own = (0..<schedule.stepsPerEpoch).flatMap {
          schedule.clips(epoch: epoch, step: $0, lane: lane)
        }
        #expect(own.sorted() == schedule.partition(lane: lane).sorted())
        visited += own
      }
      #expect(visited.sorted() == Array(shape.clips))
    }
  }

  @Test(
    "partitions, and the batches of all lanes and steps, differ by one clip at most",
    arguments: shapes)
  func sizes(_ shape: Shape) {
    let schedule = shape.schedule
    let sizes = (0..<shape.lanes).map(schedule.partitionSize)
    #expect(sizes.max()! - sizes.min()! <= 1)
    let perLane = Double(sizes.max()!) / Double(shape.clipsPerLane)
    #expect(schedule.stepsPerEpoch == Int(perLane.rounded(.up)))
    var batches: Set<Int> = []
    for step in 0..<schedule.stepsPerEpoch {
      for lane in 0..<shape.lanes {
        let count = schedule.clipCount(step: step, lane: lane)
        #expect(schedule.clips(epoch: 2, step: step, lane: lane).count == count)
        batches.insert(count)
      }
    }
    if let fewest = batches.min(), let most = batches.max() {
      #expect(most - fewest <= 1 && most <= shape.clipsPerLane)
      // Never less than half, but where a lane has no more.
      #expect(2 * most >= min(shape.clipsPerLane, sizes.max()!))
    }
    let total = (0..<schedule.stepsPerEpoch).reduce(0) { $0 + schedule.clipCount(step: $1) }
    #expect(total == shape.clips.count)
  }

  @Test("lanes have their smaller batches at different steps, so that steps are even too")
  func evenSteps() {
    let schedule = Shape(clips: 0..<168, lanes: 4, clipsPerLane: 4).schedule
    #expect(schedule.stepsPerEpoch == 11)
    #expect((0..<11).allSatisfy { [15, 16].contains(schedule.clipCount(step: $0)) })
  }

  @Test("what a lane computes does not depend on what was asked before")
  func independentOfHistory() {
    let shape = Shape(clips: 0..<100, lanes: 3, clipsPerLane: 4)
    let used = shape.schedule
    let keys = (0..<3).flatMap { epoch in (0..<9).map { (epoch, $0) } }
    let forwards = keys.map { used.clips(epoch: $0, step: $1, lane: 1) }
    let backwards = keys.reversed().map { used.clips(epoch: $0, step: $1, lane: 1) }
    let fresh = keys.map { shape.schedule.clips(epoch: $0, step: $1, lane: 1) }
    #expect(forwards == backwards.reversed())
    #expect(forwards == fresh)
  }

  @Test("epochs and lanes are shuffled differently")
  func shuffles() {
    let schedule = Shape(clips: 0..<400, lanes: 4, clipsPerLane: 100).schedule
    let orders = (0..<3).flatMap { epoch in
      (0..<4).map { lane -> [Int] in
        let partition = schedule.partition(lane: lane)
        return schedule.clips(epoch: epoch, step: 0, lane: lane)
          .map { partition.firstIndex(of: $0)! }
      }
    }
    #expect(Set(orders).count == 12)
    #expect(!orders.contains(Array(0..<100)))
  }

  @Test("every permutation of a small partition is about equally likely")
  func uniform() {
    let schedule = Shape(clips: 0..<4, lanes: 1, clipsPerLane: 4).schedule
    var counts: [[Int]: Int] = [:]
    for epoch in 0..<24_000 {
      counts[schedule.clips(epoch: epoch, step: 0, lane: 0), default: 0] += 1
    }
    #expect(counts.count == 24)
    // Chi-squared with 23 degrees of freedom exceeds 49.7 once in a thousand times.
    let chiSquared = counts.values.reduce(0.0) {
      $0 + Double(($1 - 1000) * ($1 - 1000)) / 1000
    }
    #expect(chiSquared < 49.7)
  }

  @Test("the order is the one that was published: runs made before must resume")
  func golden() {
    // From the rule in the head comment of `LaneSchedule`, written anew in Python.
    let schedule = Shape(clips: 100..<120, lanes: 3, clipsPerLane: 4).schedule
    #expect(schedule.partition(lane: 0) == [100, 105, 106, 110, 114, 115, 119])
    #expect(schedule.clips(epoch: 0, step: 0, lane: 0) == [115, 114, 100])
    #expect(schedule.clips(epoch: 1, step: 1, lane: 2) == [104, 118, 117])
  }

  @Test("a word that would bias a draw is rejected")
  func rejection() {
    // Bounds are drawn downwards: 3 then 2. For 3, words whose product with 3 has a low half
    // below 2³² mod 3 = 1 are rejected: 0 is. Then 3·2³⁰ gives 2, and 2³¹ gives 1: nothing moves.
    let words: [UInt32] = [0, 3 << 30, 1 << 31]
    let schedule = LaneSchedule(clips: 0..<3, lanes: 1, clipsPerLane: 3) { _, _, index in
      words[index]
    }
    #expect(schedule.clips(epoch: 0, step: 0, lane: 0) == [0, 1, 2])
  }

  @Test("neighbours go to different lanes, and no lane gets every n-th clip")
  func spread() {
    let lanes = 8
    let schedule = Shape(clips: 0..<8000, lanes: lanes, clipsPerLane: 8).schedule
    var owner = [Int](repeating: -1, count: 8000)
    for lane in 0..<lanes { for clip in schedule.partition(lane: lane) { owner[clip] = lane } }
    for round in stride(from: 0, to: 8000, by: lanes) {
      #expect(Set(owner[round..<round + lanes]).count == lanes)
    }
    for period in [2, 4, 8, 16, 3, 5, 40] {
      var counts = [Int](repeating: 0, count: lanes)
      for clip in stride(from: 0, to: 8000, by: period) { counts[owner[clip]] += 1 }
      let fair = 8000 / period / lanes
      #expect(counts.allSatisfy { abs($0 - fair) <= fair / 2 + 2 }, "period \(period): \(counts)")
    }
  }

  @Test("a store of the Million Song Dataset's size is whole, and each clip visited once an epoch")
  func fullSize() throws {
    let folder = try TemporaryFolder()
    let store = try Store.sparse(in: folder.url, clips: [.train: 201_680, .validation: 11_774])
    #expect(store.blockCount == 3336 && store.tags.count == 50)
    #expect(store.range(of: .validation) == 201_680..<213_454)
    try store.verifyTable()
    for clip in [0, 201_679, 213_453] {
      let labels = try store.labels(ofClip: clip)
      #expect(try store.features(ofClip: clip).allSatisfy { $0 == 0 } && labels.count == 50)
    }
    let schedule = LaneSchedule(
      clips: store.range(of: .train), lanes: 7, clipsPerLane: 8, random: random)
    #expect(schedule.stepsPerEpoch == 3602)
    var visits = [UInt8](repeating: 0, count: 201_680)
    for step in 0..<schedule.stepsPerEpoch {
      for lane in 0..<7 {
        let clips = schedule.clips(epoch: 3, step: step, lane: lane)
        #expect(clips.count == 7 || clips.count == 8)
        for clip in clips { visits[clip] += 1 }
      }
    }
    #expect(visits.allSatisfy { $0 == 1 })
  }
}
