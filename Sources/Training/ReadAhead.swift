import Dataset

/// The clips that some lanes need from a step on: to the end of the epoch in the order of its steps, and
/// then all others of these lanes.
struct ReadAhead: Sendable {
  let epoch: Int
  let lanes: Range<Int>
  /// All clips of the lanes.
  let share: [Int]
  private let schedule: LaneSchedule
  private var step: Int
  private var upcoming: ArraySlice<Int> = []
  private var rest = 0

  init(_ schedule: LaneSchedule, epoch: Int, step: Int, lanes: Range<Int>) {
    self.schedule = schedule
    (self.epoch, self.step, self.lanes) = (epoch, step, lanes)
    share = lanes.flatMap(schedule.partition(lane:))
  }

  mutating func next() -> Int? {
    while upcoming.isEmpty, step < schedule.stepsPerEpoch {
      upcoming = lanes.flatMap { schedule.clips(epoch: epoch, step: step, lane: $0) }[...]
      step += 1
    }
    if let clip = upcoming.popFirst() { return clip }
    guard rest < share.count else { return nil }
    rest += 1
    return share[rest - 1]
  }
}
