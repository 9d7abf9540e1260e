import ArgumentParser
import Foundation
import Training

struct Tag: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tag sound files, or maps of features, with a model.",
    discussion: """
      Without --window and --hop a file is tagged by its middle, as in preparation. With one of them it \
      is tagged in windows from its beginning; the file's tags are the mean over its windows. What is \
      left after the last whole window gets a window of its own that ends with the file, if it is more \
      than a tenth of a window; a shorter file is padded with silence. A CRNN pads what it is \
      shown to the length it was trained with: windows much shorter are mostly padding to it. Silent windows have no tags and \
      are not in the mean.

      Files that cannot be used are reported, the rest goes on, and the exit code is then 65. With \
      --json each file gives a line, in the order of the arguments:
        {"file": "a.mp3", "tags": [{"tag": "jazz", "probability": 0.444}, …]}
        {"file": "b.mp3", "error": "cannot read the sound: …"}
      and with windows also "windows": [{"start": 0.0, "tags": […]}, …].
      """)

  @Option(
    help: ArgumentHelp("A model, a checkpoint, or a run's folder (its best).", valueName: "model"))
  var model: String
  @Argument(
    help: ArgumentHelp(
      "Sound files; of a folder all sound files below it, sorted.", valueName: "file"))
  var files: [String] = []
  @Option(
    help: ArgumentHelp(
      "Instead of sound files, maps of features as NumPy saves them: [bands, frames] or [N, bands, "
        + "frames].", valueName: "npy"))
  var features: String?
  @Option(
    help: ArgumentHelp(
      "Tag in windows of so many seconds (default with --hop: the length of the model's clips).",
      valueName: "seconds"))
  var window: Double?
  @Option(
    help: ArgumentHelp(
      "Start a window every so many seconds (default with --window: a window's length).",
      valueName: "seconds"))
  var hop: Double?
  @Option(help: "How many tags are shown, the most probable first.")
  var top = 10
  @Option(help: "Files at a time (default: one a core).")
  var threads: Int?
  @Flag(help: "One JSON object a line.")
  var json = false

  func validate() throws {
    guard files.isEmpty != (features == nil) else {
      throw ValidationError(
        files.isEmpty
          ? "give sound files, or --features" : "give sound files or --features, not both")
    }
    guard features == nil || window == nil && hop == nil else {
      throw ValidationError("--window and --hop go with sound files, not with --features")
    }
    if let window, !(window > 0 && window <= 600) {
      throw ValidationError("--window must be above 0 and at most 600 seconds, not \(window)")
    }
    if let hop, !(hop >= 0.01 && hop <= 86_400) {
      throw ValidationError("--hop must be from 0.01 to 86400 seconds, not \(hop)")
    }
    guard top > 0 else { throw ValidationError("--top must be positive, not \(top)") }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
    }
  }

  func run() throws {
    Program.run {
      let model = try TaggingModel(path: model)
      let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
      let tagging: Tagging
      let inputs: [TaggingInput]
      if let features {
        inputs = try TaggingInput.maps(features, shape: model.network.input)
        tagging = try Tagging(maps: model, path: self.model, threads: threads)
      } else {
        tagging = try Tagging(
          model, path: self.model, window: window, hop: hop, threads: threads)
        inputs = TaggingInput.sounds(files)
      }
      for note in tagging.notes { Program.say(note) }
      try tagging.report(inputs, TaggingText(tags: model.tags, top: top), asJSON: json)
    }
  }
}
