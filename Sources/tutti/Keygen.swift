import ArgumentParser
import Cluster
import Training

/// Makes the keys with which coordinator and workers know each other.
struct Keygen: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make keys for a coordinator and its workers.",
    discussion: """
      On the coordinator's machine, for two hosts:

        tutti keygen --keys keys --worker oboe --worker flute
        scp -rp keys/hosts/oboe oboe:keys
        scp -rp keys/hosts/flute flute:keys

      Who may join is in keys/allowed: a file that is copied there lets its owner in, one that is \
      removed shuts him out, also while a run goes on. A private key that must not travel is made \
      where it stays, on the worker's host: --on-host.
      """)

  @Option(help: ArgumentHelp("The folder of keys, made if it is not there.", valueName: "folder"))
  var keys: String
  @Option(
    help: ArgumentHelp(
      "Make keys for a worker, or for a host with several, under this name. May be repeated.",
      valueName: "name"))
  var worker: [String] = []
  @Flag(help: "This is the worker's own host: make its private key here and nothing else.")
  var onHost = false

  func validate() throws {
    guard !keys.isEmpty else { throw ValidationError("--keys is empty: it needs a folder's path") }
    for name in worker where !AllowList.isName(name) {
      throw ValidationError(
        "--worker \(name): a name has at most 64 letters, digits and - _ . and does not begin with ."
      )
    }
    guard Set(worker).count == worker.count else {
      throw ValidationError("--worker names one of \(worker.joined(separator: ", ")) twice")
    }
    if onHost && worker.count != 1 {
      throw ValidationError("--on-host makes the keys of one worker: give its name with --worker")
    }
  }

  func run() throws {
    Program.run { try onHost ? makeOwn() : make() }
  }

  private func make() throws {
    let folder = KeyFolder(keys)
    let isNew = try folder.makeCoordinator()
    print(
      "\(folder.coordinatorSecret): the coordinator's private key"
        + (isNew ? ", which stays here" : ", as it was"))
    for name in worker {
      let (host, permit) = try folder.makeWorker(name)
      print("\(permit): lets \(name) join; remove it to shut \(name) out")
      print("\(host.path): copy it to \(name), as in scp -rp \(host.path) \(name):keys")
    }
    if worker.isEmpty && isNew {
      print("tutti keygen --keys \(keys) --worker NAME lets a worker join")
    }
  }

  private func makeOwn() throws {
    let folder = KeyFolder(keys)
    let permit = try folder.makeOwnWorker(worker[0])
    print("\(folder.workerSecret): this host's private key, which stays here")
    print("\(permit): copy it into the folder allowed of the coordinator's keys")
    print("\(folder.coordinatorPublic): copy the coordinator's file of that name here")
  }
}
