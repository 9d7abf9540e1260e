import Foundation
import Testing

/// Something that a program must refuse: with which exit code, and in which words.
struct Refusal: Sendable, CustomTestStringConvertible {
  /// What a case may use: the shared material, and a folder of its own.
  struct Place {
    let material: Material
    let folder: TemporaryFolder
    /// Where a run would go.
    var run: String { folder / "run" }

    func training(_ more: String...) -> [String] {
      [
        "--config", material.configuration, "--data", material.store, "--run", run, "--workers",
        "1",
      ]
        + more
    }

    /// A copy of the store, to be spoilt.
    func copyOfStore() throws -> String {
      try Files.copy(material.store, to: folder / "store")
      return folder / "store"
    }

    /// A copy of the reference run, to be spoilt.
    func copyOfRun() throws -> String {
      try Files.copy(material.reference.run, to: run)
      return run
    }

    /// A new `tags.csv` beside the corpus's sounds, and what prepares it.
    func preparing(_ list: Data) throws -> [String] {
      try Files.write(list, to: folder / "tags.csv")
      return [
        "prepare", "--tags", folder / "tags.csv", "--audio", material.corpus, "--out",
        folder / "prepared",
      ]
    }
  }

  let testDescription: String
  let program: String
  let code: Int32
  let words: [String]
  /// Does what comes before, and returns the program's arguments.
  let arguments: @Sendable (Place) throws -> [String]

  init(
    _ what: String, _ program: String, _ code: Int32, says words: String...,
    given arguments: @escaping @Sendable (Place) throws -> [String]
  ) {
    testDescription = what
    self.program = program
    self.code = code
    self.words = words
    self.arguments = arguments
  }
}

@Suite("Wrong input is refused in a sentence")
struct RefusalTests {
  /// These end before anything is written.
  @Test("and leaves nothing behind", arguments: Refusal.early)
  func early(_ refusal: Refusal) throws {
    let folder = try check(refusal)
    for name in ["run", "prepared"] { #expect(!Files.exists(folder / name)) }
  }

  @Test("and leaves what was there", arguments: Refusal.later)
  func later(_ refusal: Refusal) throws { _ = try check(refusal) }

  private func check(_ refusal: Refusal) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let place = Refusal.Place(material: try Material.get(), folder: folder)
    let ending = try Program.run(refusal.program, try refusal.arguments(place))
    #expect(ending.code == refusal.code, "\(ending.errors)")
    #expect(ending.output.isEmpty)
    for word in refusal.words {
      #expect(ending.errors.contains(word), "\(word) is not in: \(ending.errors)")
    }
    if refusal.code != 64 {
      #expect(ending.lastError.hasPrefix("\(refusal.program): "), "\(ending.errors)")
    }
    return folder
  }
}

extension Refusal {
  static let early: [Refusal] =
    commandLines + configurations + stores + lists + models + keys + traces

  // MARK: 65 and 69, traces

  private static let traces = [
    Refusal(
      "a trace in a folder that is not there", "coordinator", 69, says: "nowhere/trace.json",
      "No such file"
    ) { $0.training("--trace", $0.folder / "nowhere/trace.json") },
    Refusal(
      "a trace over another file", "coordinator", 65, says: "tiny.yaml", "is no trace of Tutti"
    ) { $0.training("--trace", $0.material.configuration) },
  ]

  // MARK: 65, keys

  private static let keys = [
    Refusal("keys that are not there", "coordinator", 65, says: "tutti keygen --keys", "nowhere") {
      $0.training("--keys", $0.folder / "nowhere")
    },
    Refusal("a worker's keys that are not there", "worker", 65, says: "worker.secret is missing") {
      ["--connect", "tcp://192.0.2.1:5700", "--keys", $0.folder / "nowhere"]
    },
    Refusal("a private key that others may read", "coordinator", 65, says: "mode 644", "chmod 600")
    {
      let keys = try $0.keys()
      chmod(keys + "/coordinator.secret", 0o644)
      return $0.training("--keys", keys)
    },
    Refusal("a damaged private key", "worker", 65, says: "worker.secret is damaged", "fingerprint")
    {
      let file = try $0.keys() + "/hosts/oboe/worker.secret"
      let text = String(decoding: try Files.bytes(file), as: UTF8.self)
      try Files.write(text.replacing("fingerprint = \"", with: "fingerprint = \"0"), to: file)
      chmod(file, 0o600)
      return ["--connect", "tcp://127.0.0.1:1", "--keys", $0.folder / "keys/hosts/oboe"]
    },
    Refusal("a private key in the list", "coordinator", 65, says: "holds a private key") {
      let keys = try $0.keys()
      try Files.copy(keys + "/hosts/oboe/worker.secret", to: keys + "/allowed/horn.public")
      return $0.training("--keys", keys)
    },
    Refusal("a coordinator's keys for a worker", "worker", 65, says: "hosts/NAME to copy here") {
      ["--connect", "tcp://127.0.0.1:1", "--keys", try $0.keys()]
    },
  ]

  // MARK: 64, the command line

  private static let commandLines = [
    Refusal("no workers", "coordinator", 64, says: "at least one worker", "--workers 4") {
      ["--config", $0.material.configuration, "--run", $0.run]
    },
    Refusal("zero workers", "coordinator", 64, says: "at least one worker") {
      ["--workers", "0", "--run", $0.run]
    },
    Refusal("fewer than zero workers", "coordinator", 64, says: "--workers") {
      ["--workers=-2", "--run", $0.run]
    },
    Refusal("many workers", "coordinator", 64, says: "at most 1024", "5000") {
      ["--workers", "5000", "--run", $0.run]
    },
    Refusal("no threads", "coordinator", 64, says: "--threads", "not 0") {
      $0.training("--threads", "0")
    },
    Refusal("an unknown flag", "coordinator", 64, says: "--wrokers") {
      ["--wrokers", "2", "--run", $0.run]
    },
    Refusal("words for a number", "coordinator", 64, says: "--workers", "two") {
      ["--workers", "two", "--run", $0.run]
    },
    Refusal("a new run and an old one", "coordinator", 64, says: "--run", "--resume") {
      $0.training("--resume", $0.material.reference.run)
    },
    Refusal("waiting for workers nowhere", "coordinator", 64, says: "--await needs --bind") {
      $0.training("--await", "1")
    },
    Refusal("a port open to all", "coordinator", 64, says: "tcp://0.0.0.0:5700", "--insecure") {
      $0.training("--bind", "tcp://0.0.0.0:5700")
    },
    Refusal("every interface", "coordinator", 64, says: "--insecure") {
      $0.training("--bind", "tcp://*:0")
    },
    Refusal("a name that begins like an address", "coordinator", 64, says: "--insecure") {
      $0.training("--bind", "tcp://127.0.0.1.example.org:5700")
    },
    Refusal("a port open to all, without a word on keys", "coordinator", 64, says: "tutti keygen") {
      $0.training("--bind", "tcp://192.0.2.1:5700")
    },
    Refusal("a page for all", "coordinator", 64, says: "http://0.0.0.0:80", "--insecure") {
      $0.training("--http", "0.0.0.0:80")
    },
    Refusal("a page for all, with keys for workers", "coordinator", 64, says: "keys or not") {
      $0.training("--http", "[::]:80", "--keys", $0.folder / "keys")
    },
    Refusal("a page nowhere", "coordinator", 64, says: "--http", "65536") {
      $0.training("--http", "65536")
    },
    Refusal("keys and no keys for a page of one's own", "coordinator", 64, says: "one of them") {
      $0.training("--keys", $0.folder / "keys", "--insecure", "--http", "0")
    },
    Refusal("keys and no keys", "coordinator", 64, says: "--keys", "--insecure", "one of them") {
      $0.training("--keys", $0.folder / "keys", "--insecure")
    },
    Refusal("another machine without keys", "worker", 64, says: "tutti keygen", "--insecure") { _ in
      ["--connect", "tcp://192.0.2.1:5700"]
    },
    Refusal("a worker with keys and none", "worker", 64, says: "--keys", "--insecure") {
      ["--connect", "tcp://127.0.0.1:1", "--keys", $0.folder / "keys", "--insecure"]
    },
    Refusal("a worker's name that is a path", "tutti", 64, says: "../oboe", "letters, digits") {
      ["keygen", "--keys", $0.folder / "keys", "--worker", "../oboe"]
    },
    Refusal("a worker's name twice", "tutti", 64, says: "twice") {
      ["keygen", "--keys", $0.folder / "keys", "--worker", "a", "--worker", "a"]
    },
    Refusal("keys on a host without its name", "tutti", 64, says: "--on-host") {
      ["keygen", "--keys", $0.folder / "keys", "--on-host"]
    },
    Refusal("endless clips", "tutti", 64, says: "--clips", "99999999999") {
      ["synthesize", "--out", $0.folder / "prepared", "--clips", "99999999999"]
    },
    Refusal("an unknown tool", "tutti", 64, says: "inpsect") { _ in ["inpsect"] },
    Refusal("an unknown split", "tutti", 64, says: "--split", "tset") {
      [
        "evaluate", "--model", $0.material.configuration, "--data", $0.material.store, "--split",
        "tset",
      ]
    },
    Refusal("the digest of a store", "tutti", 64, says: "--digest goes with a checkpoint") {
      ["inspect", "--digest", $0.material.store]
    },
    Refusal("settings for a checkpoint", "tutti", 64, says: "--set goes with a configuration") {
      [
        "inspect", $0.material.reference.run + "/last.safetensors", "--set", "training.seed=1",
      ]
    },
    Refusal("a worker without a coordinator", "worker", 64, says: "--connect") { _ in [] },
    Refusal("a worker that does not wait", "worker", 64, says: "--wait", "not 0") { _ in
      ["--connect", "tcp://127.0.0.1:1", "--wait", "0"]
    },
  ]

  // MARK: 65, configurations

  private static let configurations = [
    Refusal(
      "a misspelt key", "coordinator", 65, says: "model.netwrok", "did you mean model.network?"
    ) { $0.training("--set", "model.netwrok=crnn") },
    Refusal(
      "a misspelt key in a file", "coordinator", 65, says: "wrong.yaml:3",
      "did you mean model.network?"
    ) {
      try Files.write("# a network\nmodel:\n  netwrok: crnn\n", to: $0.folder / "wrong.yaml")
      return ["--config", $0.folder / "wrong.yaml", "--run", $0.run, "--workers", "1"]
    },
    Refusal(
      "a value out of bounds", "coordinator", 65, says: "training.lanes", "0", "from 1 to 65536"
    ) { $0.training("--set", "training.lanes=0") },
    Refusal(
      "an unknown network", "coordinator", 65, says: "model.network", "lstm", "k2c2"
    ) { $0.training("--set", "model.network=lstm") },
    Refusal("too few widths", "coordinator", 65, says: "model.widths has 2 numbers", "gru2") {
      $0.training("--set", "model.widths=[4, 4]")
    },
    Refusal("a network beyond all memory", "coordinator", 65, says: "GB of memory", "width") {
      $0.training("--set", "model.widths=[65536, 65536, 65536, 65536, 65536, 65536]")
    },
    Refusal(
      "lanes beyond a worker's memory", "coordinator", 65, says: "with 1 worker on this machine",
      "needs", "GB of memory", "lower training.clipsPerLane"
    ) {
      $0.training(
        "--set", "model.widths=[512, 512, 512, 512, 4, 4]", "--set", "training.clipsPerLane=4096")
    },
    Refusal(
      "more workers than --memory holds", "coordinator", 65, says: "--memory has 2 MB",
      "start fewer workers (each needs"
    ) { $0.training("--memory", "2MB", "--workers", "3") },
    Refusal("memory without a unit", "coordinator", 64, says: "--memory", "12") {
      $0.training("--memory", "12")
    },
    Refusal("an override without a value", "coordinator", 65, says: "key=value") {
      $0.training("--set", "training.lanes")
    },
    Refusal("a configuration that is not UTF-8", "coordinator", 65, says: "wrong.yaml", "UTF-8") {
      try Files.write(Data([0x61, 0xFF, 0xFE, 0x3A]), to: $0.folder / "wrong.yaml")
      return ["--config", $0.folder / "wrong.yaml", "--run", $0.run, "--workers", "1"]
    },
    Refusal("a configuration that is not YAML", "coordinator", 65, says: "wrong.yaml:3", "YAML") {
      try Files.write("model:\n  network: [crnn\n", to: $0.folder / "wrong.yaml")
      return ["--config", $0.folder / "wrong.yaml", "--run", $0.run, "--workers", "1"]
    },
    Refusal("no such configuration", "coordinator", 65, says: "none.yaml", "no such") {
      ["--config", $0.folder / "none.yaml", "--run", $0.run, "--workers", "1"]
    },
    Refusal("a folder for a configuration", "coordinator", 65, says: "cannot be read") {
      ["--config", $0.folder.path, "--run", $0.run, "--workers", "1"]
    },
    Refusal("going on with what is no run", "coordinator", 65, says: "is not a run", "--resume") {
      ["--resume", $0.material.corpus, "--data", $0.material.store, "--workers", "1"]
    },
    Refusal("going on with nothing", "coordinator", 65, says: "nowhere is not a run") {
      ["--resume", $0.folder / "nowhere", "--data", $0.material.store, "--workers", "1"]
    },
  ]

  // MARK: 65, stores

  private static let stores = [
    Refusal("no such store", "coordinator", 65, says: "nowhere", "tutti prepare") {
      [
        "--config", $0.material.configuration, "--data", $0.folder / "nowhere", "--run", $0.run,
        "--workers", "1",
      ]
    },
    Refusal("a folder that is no store", "coordinator", 65, says: "store.json", "tutti prepare") {
      [
        "--config", $0.material.configuration, "--data", $0.material.corpus, "--run", $0.run,
        "--workers", "1",
      ]
    },
    Refusal("a truncated block", "coordinator", 65, says: "block-00000.f16", "bytes") {
      let store = try $0.copyOfStore()
      try Files.truncate(store + "/block-00000.f16", by: 100)
      return [
        "--config", $0.material.configuration, "--data", store, "--run", $0.run, "--workers", "1",
      ]
    },
    Refusal("a missing block", "coordinator", 65, says: "block-00000.f16", "missing") {
      let store = try $0.copyOfStore()
      try FileManager.default.removeItem(atPath: store + "/block-00000.f16")
      return [
        "--config", $0.material.configuration, "--data", store, "--run", $0.run, "--workers", "1",
      ]
    },
    Refusal("a damaged description", "coordinator", 65, says: "store.json") {
      let store = try $0.copyOfStore()
      try Files.truncate(store + "/store.json", by: 10)
      return [
        "--config", $0.material.configuration, "--data", store, "--run", $0.run, "--workers", "1",
      ]
    },
    Refusal(
      "features of other settings", "coordinator", 65, says: "features.hopLength is 512",
      "made with hopLength 256"
    ) {
      // The first is what the store has.
      $0.training("--set", "features.sampleRateHz=12000", "--set", "features.hopLength=512")
    },
    Refusal("a crop longer than the clips", "coordinator", 65, says: "1366 frames", "cropFrames") {
      $0.training("--set", "augmentation.cropFrames=1367")
    },
    Refusal("weights of other tags", "coordinator", 65, says: "loss.positiveWeight", "4 tags") {
      $0.training("--set", "loss.positiveWeight=[1, 2]")
    },
    Refusal("a file for a store", "tutti", 65, says: "tiny.yaml") {
      [
        "evaluate", "--model", $0.material.reference.run + "/best.safetensors", "--data",
        $0.material.configuration,
      ]
    },
    Refusal("nothing to inspect", "tutti", 65, says: "nowhere") {
      ["inspect", $0.folder / "nowhere"]
    },
  ]

  // MARK: 65, lists of clips

  private static let lists = [
    Refusal(
      "a list with a file that is not there", "tutti", 65, says: "tags.csv, line 3", "clip999.wav",
      "--skip-bad"
    ) {
      try $0.preparing(
        Data(
          """
          clip_id,path,split,tags
          0,clip0.wav,train,low
          1,clip999.wav,validation,low

          """.utf8))
    },
    Refusal("a list that is not UTF-8", "tutti", 65, says: "tags.csv, line 2", "UTF-8") {
      try $0.preparing(
        Data("clip_id,path,split,tags\n0,clip0.wav,train,l".utf8) + [0xE9, 0x0A])
    },
    Refusal("a list with an unknown split", "tutti", 65, says: "tags.csv, line 2", "trian") {
      try $0.preparing(Data("clip_id,path,split,tags\n0,clip0.wav,trian,low\n".utf8))
    },
    Refusal("a list without a column", "tutti", 65, says: "tags.csv, line 1", "split") {
      try $0.preparing(Data("clip_id,path,tags\n0,clip0.wav,low\n".utf8))
    },
    Refusal("an empty list", "tutti", 65, says: "tags.csv", "empty") { try $0.preparing(Data()) },
    Refusal("a list outside its folder", "tutti", 65, says: "tags.csv, line 2", "../tags.csv") {
      try $0.preparing(Data("clip_id,path,split,tags\n0,../tags.csv,train,low\n".utf8))
    },
    Refusal("a list without validation", "tutti", 65, says: "validation split is empty") {
      try $0.preparing(Data("clip_id,path,split,tags\n0,clip0.wav,train,low\n".utf8))
    },
    Refusal("no such list", "tutti", 65, says: "none.csv") {
      ["prepare", "--tags", $0.folder / "none.csv", "--out", $0.folder / "prepared"]
    },
  ]

  // MARK: 65, models

  private static let models = [
    Refusal("a damaged model", "tutti", 65, says: "model.safetensors", "checksum") {
      try Files.copy(
        $0.material.reference.run + "/best.safetensors", to: $0.folder / "model.safetensors")
      try Files.flipBit(of: $0.folder / "model.safetensors", at: -5)
      return ["evaluate", "--model", $0.folder / "model.safetensors", "--data", $0.material.store]
    },
    Refusal("a truncated model", "tutti", 65, says: "model.safetensors", "bytes") {
      try Files.copy(
        $0.material.reference.run + "/best.safetensors", to: $0.folder / "model.safetensors")
      try Files.truncate($0.folder / "model.safetensors", by: 1000)
      return ["inspect", "--digest", $0.folder / "model.safetensors"]
    },
    Refusal("something else for a model", "tutti", 65, says: "tiny.yaml") {
      ["evaluate", "--model", $0.material.configuration, "--data", $0.material.store]
    },
    Refusal("no such model", "tutti", 65, says: "nowhere") {
      ["evaluate", "--model", $0.folder / "nowhere", "--data", $0.material.store]
    },
    Refusal("a model of other tags", "tutti", 65, says: "piano", "noise", "other") {
      let store = try $0.otherStore()
      return [
        "evaluate", "--model", $0.material.reference.run + "/best.safetensors", "--data", store,
      ]
    },
    Refusal("a split without clips", "tutti", 65, says: "test split", "no clips") {
      try $0.preparing(
        Data(
          """
          clip_id,path,split,tags
          0,clip0.wav,train,low|even
          1,clip1.wav,train,high
          2,clip2.wav,validation,noise

          """.utf8)
      )
      .run(as: "tutti")
      try FileManager.default.moveItem(
        atPath: $0.folder / "prepared", toPath: $0.folder / "trainOnly")
      return [
        "evaluate", "--model", $0.material.reference.run + "/best.safetensors", "--data",
        $0.folder / "trainOnly",
      ]
    },
  ]

  // MARK: What is only found once there is a run, or concerns one

  static let later = [
    Refusal(
      "a flipped bit in a block", "coordinator", 65, says: "block-00000.f16", "clip", "checksum"
    ) {
      let store = try $0.copyOfStore()
      try Files.flipBit(of: store + "/block-00000.f16", at: 5_000)
      return [
        "--config", $0.material.configuration, "--data", store, "--run", $0.run, "--workers", "1",
      ]
    },
    Refusal("a new run over an old one", "coordinator", 65, says: "holds a run already", "--resume")
    {
      _ = try $0.copyOfRun()
      return $0.training()
    },
    Refusal("a run in a folder of other things", "coordinator", 65, says: "holds no run") {
      [
        "--config", $0.material.configuration, "--data", $0.material.store, "--run",
        $0.material.corpus, "--workers", "1",
      ]
    },
    Refusal(
      "a file in the place of the run's folder", "coordinator", 69, says: "tiny.yaml",
      "Not a directory"
    ) {
      [
        "--config", $0.material.configuration, "--data", $0.material.store, "--run",
        $0.material.configuration + "/run", "--workers", "1",
      ]
    },
    Refusal("going on with another seed", "coordinator", 65, says: "training.seed", "0", "7") {
      $0.material.resuming(try $0.copyOfRun(), "--workers", "1", "--set", "training.seed=7")
    },
    Refusal("going on with another store", "coordinator", 65, says: "fingerprint", "--data") {
      ["--resume", try $0.copyOfRun(), "--data", try $0.otherStore(), "--workers", "1"]
    },
    Refusal(
      "going on with the checkpoints of another network", "coordinator", 65, says: "step-0000028",
      "conv1.weight", "[3, 1, 3, 3]", "[4, 1, 3, 3]"
    ) {
      try $0.training("--set", "model.widths=[3, 3, 3, 3, 3, 3]").run(as: "coordinator")
      try FileManager.default.moveItem(atPath: $0.run, toPath: $0.folder / "other")
      let run = try $0.copyOfRun()
      try FileManager.default.removeItem(atPath: run + "/checkpoints")
      try Files.copy($0.folder / "other" + "/checkpoints", to: run + "/checkpoints")
      return $0.material.resuming(run, "--workers", "1")
    },
    Refusal(
      "going on when no checkpoint can be read", "coordinator", 65, says: "no readable checkpoint"
    ) {
      let run = try $0.copyOfRun()
      for name in try Files.names(in: run + "/checkpoints") {
        try Files.flipBit(of: run + "/checkpoints/" + name, at: -5)
      }
      for name in ["last", "best"] {
        let path = run + "/\(name).safetensors"
        if try Files.bytes(path) != Data() { try Files.flipBit(of: path, at: -9) }
      }
      return $0.material.resuming(run, "--workers", "1")
    },
    Refusal("preparing over another store", "tutti", 65, says: "prepared") {
      try $0.preparing(Self.otherList).run(as: "tutti")
      let list = String(decoding: Self.otherList, as: UTF8.self)
      return try $0.preparing(Data(list.replacing("violin", with: "cello").utf8))
    },
  ]

  fileprivate static let otherList = Data(
    """
    clip_id,path,split,tags
    0,clip0.wav,train,piano
    1,clip1.wav,train,violin
    2,clip2.wav,validation,piano
    3,clip3.wav,test,violin

    """.utf8)
}

extension Refusal.Place {
  /// A folder of keys with a worker called oboe.
  func keys() throws -> String {
    try ["keygen", "--keys", folder / "keys", "--worker", "oboe"].run(as: "tutti")
    return folder / "keys"
  }

  /// A store of four clips with tags of its own.
  func otherStore() throws -> String {
    try preparing(Refusal.otherList).run(as: "tutti")
    try FileManager.default.moveItem(atPath: folder / "prepared", toPath: folder / "other")
    return folder / "other"
  }
}

extension [String] {
  /// Runs a program with these arguments, which must succeed.
  fileprivate func run(as program: String) throws {
    let ending = try Program.run(program, self)
    guard ending.code == 0 else { throw Program.Failure(description: ending.errors) }
  }
}
