import Foundation
import Testing

/// What programs do with kernels that the processor would not have chosen.
@Suite("Kernels by wish")
struct KernelTests {
  static func version(_ wish: String?) throws -> Program.Ending {
    try Program.run(
      "tutti", ["--version"], environment: wish.map { ["TUTTI_KERNELS": $0] } ?? [:])
  }

  @Test("a wish is fulfilled, and the program says so")
  func portable() throws {
    #expect(try Self.version("portable").output.contains(", portable"))
  }

  @Test(
    "a wish that cannot be is refused before anything is done",
    arguments: ["coordinator", "worker", "tutti", "bench"])
  func refusal(program: String) throws {
    let material = try Material.get()
    let folder = try TemporaryFolder()
    let arguments =
      switch program {
      case "coordinator": material.training(folder / "run", "--workers", "1")
      case "worker": ["--connect", "tcp://127.0.0.1:1", "--data", material.store]
      case "tutti": ["inspect", material.configuration]
      default: ["step", "--network", "mlp"]
      }
    let ending = try Program.run(
      program, arguments, environment: ["TUTTI_KERNELS": "abacus"])
    #expect(ending.code == 64)
    #expect(ending.errors.contains("TUTTI_KERNELS is portable or avx2, not abacus"))
    #expect(ending.output.isEmpty && !Files.exists(folder / "run"))
  }

  /// The kernels round differently: a run must not depend on who computes what.
  @Test(
    "a worker with other kernels is refused in words that name both",
    .enabled("this processor has one kind of kernels") {
      try version("avx2").output.contains(", AVX2")
    })
  func mixed() throws {
    let material = try Material.get()
    let folder = try TemporaryFolder()
    let address = "tcp://127.0.0.1:\(RawConnection.freePort())"
    let training = material.training(folder / "run", "--bind", address, "--await", "1")
    let worker = ["--connect", address, "--data", material.store, "--threads", "1"]
    try Program.start("coordinator", training, environment: ["TUTTI_KERNELS": "portable"]) {
      coordinator in
      let refused = try Program.run("worker", worker, environment: ["TUTTI_KERNELS": "avx2"])
      #expect(refused.code == 69)
      for word in ["with AVX2 kernels", "with portable kernels", "--allow-mixed-cpus"] {
        #expect(refused.lastError.contains(word), "\(refused.errors)")
      }
      let accepted = try Program.run(
        "worker", worker, environment: ["TUTTI_KERNELS": "portable"])
      #expect(accepted.code == 0, "\(accepted.errors)")
      let ending = try coordinator.wait()
      #expect(ending.code == 0, "\(ending.errors)")
      #expect(ending.errors.contains("with portable kernels"))
    }
  }
}
