import Cluster
import Foundation
import Testing

/// `--audit N`: two workers compute the same lane, and what they come to is compared.
@Suite("Audits")
struct AuditTests {
  let material: Material
  let folder: TemporaryFolder
  let run: String

  init() throws {
    material = try Material.get()
    folder = try TemporaryFolder()
    run = folder / "run"
  }

  @Test(
    "lanes computed twice have the same bits, and leave no trace",
    arguments: [(1, 0), (2, 14), (5, 14)])
  func same(workers: Int, audits: Int) throws {
    let ending = try Program.run(
      "coordinator",
      material.training(run, "--workers", "\(workers)", "--threads", "1", "--audit", "2"))
    #expect(ending.code == 0, "\(ending.errors)")
    #expect(try Files.bytes(run + "/last.safetensors") == material.reference.lastBytes)
    let said = "\(audits) lanes were computed by two workers each, to the same bits"
    // One worker has nobody to be compared with.
    #expect(ending.errors.contains("computed by two workers") == (audits > 0))
    #expect(ending.errors.contains(said) == (audits > 0), "\(ending.errors)")
  }

  @Test("other bits end the run before the step, with lane, step and both workers named")
  func different() throws {
    let address = "tcp://127.0.0.1:\(RawConnection.freePort())"
    let proxy = Proxy(to: address)
    // The worker behind the proxy errs in its first audited lane.
    proxy.arm(
      Proxy.Strike(
        sender: .worker, kind: .timing, condition: { $0.subject.tag != 0 },
        harm: .forge(FrameHeader.forging({ _ in }, subject: { $0.tag ^= 1 }))))
    let worker = { ["--connect", $0, "--data", material.store, "--threads", "1"] }
    let training = material.training(run, "--bind", address, "--await", "2", "--audit", "5")
    try Program.start("coordinator", training) { coordinator in
      try Program.start("worker", worker(proxy.address)) { erring in
        try Program.start("worker", worker(address)) { other in
          let ending = try proxy.serve { try coordinator.wait() }
          #expect(ending.code == 70)
          let error = ending.lastError
          #expect(error.contains("different bits for lane 1 of step 5: "), "\(error)")
          for program in [erring, other] { #expect(error.contains(":\(program.processID)")) }
          #expect(ending.errors.contains("state saved after step 4"))
        }
      }
    }
    #expect(proxy.struck.count == 1)
    let event = try #require(
      try metrics(run, "crew").first { $0["event"] as? String == "audit" })
    #expect(event["lane"] as? Int == 1 && event["hashes"] != nil && event["workers"] != nil)

    let resumed = try Program.run("coordinator", material.resuming(run, "--workers", "2"))
    #expect(resumed.code == 0, "\(resumed.errors)")
    #expect(try Files.bytes(run + "/last.safetensors") == material.reference.lastBytes)
  }

  @Test(
    "audits that cannot be are refused",
    arguments: [["--audit", "0"], ["--audit", "-1"], ["--audit", "3", "--allow-mixed-cpus"]])
  func refused(flags: [String]) throws {
    let ending = try Program.run(
      "coordinator", material.training(run, "--workers", "1") + flags)
    #expect(ending.code == 64)
    #expect(ending.errors.contains("--audit"))
    #expect(!Files.exists(run))
  }
}
