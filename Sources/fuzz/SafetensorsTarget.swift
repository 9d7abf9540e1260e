import Foundation
import Training

extension Target {
  /// A safetensors file: its header, its checksum and every tensor.
  static let safetensors = Target(
    name: "safetensors", longest: 4096, words: safetensorsWords,
    seeds: {
      [
        try safetensorsFile([SafetensorsTensor("weight", shape: [2, 3])], ["step": "12"]) {
          try $0.append([1, -0.0, .infinity, .nan, 0.25, 3] as [Float])
        },
        try safetensorsFile([
          SafetensorsTensor("m", .float64, shape: [1]), SafetensorsTensor("n", .int64, shape: []),
          SafetensorsTensor("empty", shape: [0, 4]),
          SafetensorsTensor("half", .float16, shape: [2]),
          SafetensorsTensor("brain", .bfloat16, shape: [1]),
        ]) {
          try $0.append([Double.pi])
          try $0.append([Int64.min])
          try $0.append([Float]())
          try $0.append([Float16(1), .infinity])
          try $0.append([BFloat16(bitPattern: 0x3F80)])
        },
        try safetensorsFile([], ["odd": "\"\\\n\u{1}é"]) { _ in },
        // As other programs write it, without a checksum.
        withHeader(
          foreignHeader.utf8, data: [0, 0, 0x80, 0x3F]),
      ]
    },
    repair: withOwnLength,
    read: { bytes in
      try readFile(bytes) { file in
        do { try file.verify() } catch let error as CheckpointError where error.code == .damaged {}
        for tensor in file.tensors {
          let count =
            switch tensor.type {
            case .float16, .bfloat16, .float32, .float64:
              try file.floats(tensor.name, shape: tensor.shape).count
            case .int64: try file.read(tensor.name, as: Int64.self, shape: tensor.shape).count
            }
          expect(count == tensor.shape.reduce(1, *), "\(tensor): \(count) numbers")
        }
      }
    })

  /// A checkpoint of a run: the metadata of a safetensors file, with a configuration and JSON in it.
  static let checkpoint = Target(
    name: "checkpoint", longest: 8192,
    words: safetensorsWords + configurationWords + [
      "format", "tutti checkpoint 1", "state", "configuration", "features", "storeFingerprint",
      "position", "stopping", "learningRate", "history", "validationsSinceBest", "reductions",
    ],
    seeds: {
      let configuration = try Configuration(overrides: ["model.network=mlp"])
      return [
        try safetensorsFile(
          [SafetensorsTensor("dense1.weight", shape: [1, 2])],
          [
            "format": "tutti checkpoint 1", "configuration": "model:\n  network: mlp\n",
            "features": #"[{"name":"hopLength","value":"256"}]"#, "storeFingerprint": "00ff",
            "state": checkpointState, "step": "7", "tags": #"["piano","slow"]"#,
            "input": #"{"bands":96,"frames":1366}"#,
          ]
        ) { try $0.append([0.5, -1] as [Float]) },
        try safetensorsFile(
          [],
          [
            "format": "tutti checkpoint 1", "configuration": configuration.yaml, "features": "[]",
            "storeFingerprint": "", "state": checkpointState, "tags": #"["a"]"#,
            "input": #"{"bands":1,"frames":1}"#,
          ]
        ) { _ in },
      ]
    },
    repair: withOwnLength,
    read: { bytes in
      try readFile(bytes) { file in
        let checkpoint = try Checkpoint(file)
        // A run that goes on from here must be able to count.
        var position = checkpoint.position
        position.advance(stepsPerEpoch: 10, updated: true)
        var stopping = checkpoint.stopping
        _ = stopping.observe(0.5, step: position.step, epoch: position.epoch)
        _ = stopping.shouldStop(patience: checkpoint.configuration.training.patience)
        _ = try checkpoint.digest()
      }
    })

  private static func readFile(
    _ bytes: [UInt8], _ body: (SafetensorsFile) throws -> Void
  ) throws {
    try Scratch.use { scratch in
      try body(SafetensorsFile(path: try scratch.file("file.safetensors", bytes).path))
    }
  }

  /// The file with the length of its header before it: a JSON object and the spaces that follow.
  static func withOwnLength(_ bytes: [UInt8]) -> [UInt8] {
    let rest = bytes.dropFirst(8)
    var (depth, isQuoted, isEscaped) = (0, false, false)
    let end = rest.firstIndex { byte in
      if isEscaped || byte == UInt8(ascii: "\\") {
        isEscaped.toggle()
      } else if byte == UInt8(ascii: "\"") {
        isQuoted.toggle()
      } else if !isQuoted {
        depth += byte == UInt8(ascii: "{") ? 1 : byte == UInt8(ascii: "}") ? -1 : 0
      }
      return depth == 0 && !isQuoted
    }
    let json = rest[..<(end.map { $0 + 1 } ?? rest.endIndex)]
    let spaces = rest[json.endIndex...].prefix { $0 == UInt8(ascii: " ") }
    return withHeader(json + spaces, data: rest[spaces.endIndex...])
  }

  private static func withHeader(
    _ json: some Collection<UInt8>, data: some Collection<UInt8>
  ) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: json.count >> ($0 * 8)) } + Array(json) + Array(data)
  }

  private static func safetensorsFile(
    _ tensors: [SafetensorsTensor], _ metadata: [String: String] = [:],
    _ body: (SafetensorsWriter) throws -> Void
  ) throws -> [UInt8] {
    try Scratch.use { scratch in
      let url = scratch.folder.appendingPathComponent("seed.safetensors")
      try SafetensorsWriter.write(url.path, tensors: tensors, metadata: metadata, body: body)
      return Array(try Data(contentsOf: url))
    }
  }
}

private let foreignHeader =
  #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
  + #""__metadata__":{"\u00e9":"\ud83c\udfb5"}}"#

let safetensorsWords = [
  "__metadata__", "checksum", "dtype", "shape", "data_offsets", "F16", "BF16", "F32", "F64", "I64",
  "[0,4]", "{}",
  "[]", "[0]", "\\u", "\\ud83c\\udfb5", "\\\"", "9223372036854775807", "4611686018427387904",
]

private let checkpointState = """
  {"history":[{"epoch":0,"learningRate":0.001,"loss":0.25,"rocAUC":0.5,"step":7}],"learningRate":\
  {"best":0.5,"reductions":1,"validationsSinceBest":0},"lossSteps":0,"lossSum":0,"position":\
  {"epoch":0,"step":7,"stepInEpoch":7,"updates":6},"stopping":{"best":{"epoch":0,"score":0.5,\
  "step":7},"validationsSinceBest":0}}
  """
