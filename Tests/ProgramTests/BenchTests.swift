import Foundation
import Testing

/// What `bench` measures, on networks small enough for a test. Nothing here looks at a time.
@Suite("Measuring")
struct BenchTests {
  /// The objects that a program has printed, one a line.
  private func objects(_ arguments: [String]) throws -> [[String: Any]] {
    let ending = try Program.run("bench", arguments)
    try #require(ending.code == 0, "\(ending.errors)")
    return try ending.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  private func number(_ object: [String: Any], _ key: String) throws -> Double {
    try #require(object[key] as? NSNumber, "\(key)").doubleValue
  }

  @Test("a step is timed with its memory, training apart from inference, network by network")
  func step() throws {
    let results = try objects([
      "step", "--network", "k2c1", "--network", "mlp", "--size", "0.1M", "--clips", "5",
      "--inference-clips", "2", "--passes", "1", "--json",
    ])
    #expect(results.map { $0["network"] as? String } == ["k2c1", "mlp"])
    for result in results {
      for key in ["trainClipsPerSecond", "inferenceClipsPerSecond", "productGigaflops"] {
        #expect(try number(result, key) > 0)
      }
      #expect(try number(result, "clips") == 5)
      #expect(try number(result, "inferenceClips") == 2)
      // Training keeps what its backward pass needs, of more clips.
      #expect(
        try number(result, "peakMemoryBytes") > number(result, "inferencePeakMemoryBytes"))
      #expect(try number(result, "inferencePeakMemoryBytes") > 1e6)
    }
    #expect(try number(results[0], "weightsAndBiases") == 96_559)
  }

  @Test("settings reach the network")
  func settings() throws {
    let result = try objects([
      "step", "--network", "crnn", "--size", "0.1M", "--set", "model.reset=after", "--passes", "1",
      "--inference-clips", "1", "--only", "inference", "--json",
    ])
    // Such a gate has a second bias; there are three in each of 30 units of two layers.
    #expect(try number(result[0], "weightsAndBiases") == 96_710 + 2 * 3 * 30)
    #expect(result[0]["trainClipsPerSecond"] == nil)
  }

  @Test("every block has its passes, beside the machine's own rates", arguments: [1, 2])
  func kernels(threads: Int) throws {
    let result = try objects([
      "kernels", "--network", "k2c1", "--size", "0.1M", "--clips", "1", "--passes", "1",
      "--threads", "\(threads)", "--json",
    ])[0]
    let rows = try #require(result["rows"] as? [[String: Any]])
    func passes(_ layer: String) -> [String] {
      rows.filter { $0["layer"] as? String == layer }.compactMap { $0["pass"] as? String }
    }
    // Nobody needs the gradient of the clips.
    #expect(passes("conv1") == ["forward", "weight gradient"])
    for block in 2...5 {
      #expect(passes("conv\(block)") == ["forward", "weight gradient", "data gradient"])
    }
    #expect(passes("output") == ["forward", "backward"])
    #expect(passes("loss").count == 1)
    #expect(passes("norm, Adam").count == 1)
    for row in rows where (row["layer"] as? String)?.hasPrefix("conv") == true {
      // A difference of two times may be none on a clock this coarse.
      guard try number(row, "millisecondsPerClip") > 0 else { continue }
      #expect(try number(row, "gigaflops") > 0)
      #expect(try number(row, "shareOfProduct") > 0)
    }
    #expect(try number(result, "productGigaflops") > 0)
    #expect(try number(result, "copyGigabytesPerSecond") > 0)
  }

  @Test(
    "an exchange moves each vector once to and from every worker, in frames or shared memory",
    arguments: [false, true])
  func exchange(sharing: Bool) throws {
    let (workers, count, steps) = (3, 300_000, 2)
    let result = try objects(
      [
        "allreduce", "--workers", "\(workers)", "--parameters", "0.3M", "--lanes", "4", "--steps",
        "\(steps)", "--json",
      ] + (sharing ? [] : ["--frames"]))[0]
    #expect(try number(result, "parameters") == Double(count))
    let bytes = Double(4 * count)
    // Frames' headers, orders and heartbeats are little beside the vectors.
    let little = 1.05
    func all(_ key: String) throws -> [Double] {
      try #require(result[key] as? [NSNumber]).map(\.doubleValue)
    }
    if sharing {
      #expect(try number(result, "coordinatorBytesShared") == bytes)
      #expect(try all("workerBytesShared") == [Double](repeating: bytes, count: workers))
      #expect(try number(result, "coordinatorBytesSent") < 0.05 * bytes)
      return
    }
    let (sent, received) = (try all("workerBytesSent"), try all("workerBytesReceived"))
    #expect(sent.count == workers && received.count == workers)
    for one in received { #expect(one >= bytes && one <= little * bytes) }
    // Four lanes of three workers: two of them share a half of the tree, one has the other half.
    for one in sent { #expect(one >= bytes && one <= little * bytes) }
    let total = Double(workers) * bytes
    for key in ["coordinatorBytesSent", "coordinatorBytesReceived"] {
      #expect(try number(result, key) >= total && number(result, key) <= little * total)
    }
    for key in ["medianSeconds", "fastestSeconds", "loopbackBytesPerSecond", "ratioToLowerBound"] {
      #expect(try number(result, key) > 0)
    }
  }

  @Test(
    "nonsense is refused as such",
    arguments: [
      ["step", "--network", "vgg"], ["step", "--size", "7M"], ["step", "--threads", "0"],
      ["step", "--set", "model.wide=1"], ["step", "--only", "train", "--network", "all"],
      ["kernels", "--clips", "0"], ["kernels", "--network", "vgg"],
      ["allreduce", "--workers", "0"], ["allreduce", "--parameters", "much"],
      ["allreduce", "--workers", "5", "--lanes", "4"],
    ])
  func refusals(arguments: [String]) throws {
    let ending = try Program.run("bench", arguments)
    #expect(ending.code == 64)
    #expect(ending.errors.hasPrefix("Error: "))
    #expect(ending.output.isEmpty)
  }
}
