import Foundation
import Testing

/// A trace as a viewer reads it.
struct TraceFile {
  struct Event: Decodable {
    struct Arguments: Decodable {
      let name, text: String?
      let step, lane, clips, firstClip, firstLane, lanes, bytes: Int?
      let clockOffsetMicroseconds, clockUncertaintyMicroseconds: Double?
    }
    let name, ph: String
    let tid: Int
    let ts, dur: Double?
    let id: Int?
    let args: Arguments

    var start: Double { ts ?? 0 }
    var end: Double { start + (dur ?? 0) }
  }

  let events: [Event]

  init(_ path: String) throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    events = try JSONDecoder().decode([Event].self, from: data)
  }

  /// Numbers of the rows, by name, the coordinator's apart; a worker that comes back has two.
  var workers: [(row: Int, name: String)] {
    var rows: [Int: String] = [:]
    for event in events where event.name == "thread_name" { rows[event.tid] = event.args.name }
    return rows.filter { $0.value != "coordinator" }.map { ($0.key, $0.value) }
      .sorted { $0.row < $1.row }
  }

  var coordinator: Int? {
    events.first { $0.name == "thread_name" && $0.args.name == "coordinator" }?.tid
  }

  func slices(row: Int? = nil, _ name: String? = nil) -> [Event] {
    events.filter {
      $0.ph == "X" && (row == nil || $0.tid == row) && (name == nil || $0.name == name)
    }
  }

  func instants(_ name: String) -> [Event] { events.filter { $0.ph == "i" && $0.name == name } }

  /// Pairs of beginnings and ends of what was on its way.
  var sends: [(begin: Event, end: Event)] {
    let ends = events.filter { $0.ph == "e" }
    return events.filter { $0.ph == "b" }.compactMap { begin in
      ends.first { $0.id == begin.id }.map { (begin, $0) }
    }
  }

  /// Expects that slices of a row follow each other or stand in one another, within the run.
  func expectOrder() {
    let last = events.compactMap { $0.ph == "i" ? $0.ts : nil }.max() ?? 0
    for row in Set(slices().map(\.tid)) {
      // What began first stands around what ends first.
      let sorted = slices(row: row).sorted { ($0.start, -$0.end) < ($1.start, -$1.end) }
      var open: [Event] = []
      for slice in sorted {
        #expect(slice.start >= 0 && slice.dur ?? -1 >= 0)
        // Numbers are rounded to a nanosecond.
        while let around = open.last, around.end <= slice.start + 0.002 { open.removeLast() }
        if let around = open.last {
          #expect(slice.end <= around.end + 0.002, "\(slice) in \(around)")
        }
        open.append(slice)
      }
    }
    for (begin, end) in sends { #expect(begin.start >= 0 && begin.start <= end.start) }
    #expect(last > 0)
  }
}
