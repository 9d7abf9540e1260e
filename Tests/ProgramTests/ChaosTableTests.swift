import Testing

/// What each fault costs in each phase, as a table for the documentation: `cluster/soak --matrix`.
@Suite("Chaos table", .enabled(if: Asked.forTable, "cluster/soak --matrix makes it"))
struct ChaosTableTests {
  @Test("one cell after the other")
  func table() throws {
    let phases = ChaosTests.Phase.allCases
    for side in Proxy.Side.allCases {
      print("\n| at the \(side.rawValue) | \(phases.map(\.rawValue).joined(separator: " | ")) |")
      print("|" + String(repeating: "---|", count: phases.count + 1))
      for fault in ChaosTests.Fault.allCases {
        let cells = try phases.map { phase in
          let cell = ChaosTests.Cell(fault: fault, phase: phase, side: side)
          guard cell.canOccur else { return "–" }
          let cost = try ChaosRun(cell).expectSameBytes()
          return "\(cost.lanes), \((cost.seconds * 10).rounded() / 10) s"
        }
        print("| \(fault.rawValue) | \(cells.joined(separator: " | ")) |")
      }
    }
  }
}
