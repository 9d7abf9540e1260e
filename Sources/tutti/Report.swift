import ArgumentParser
import Training

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a run on one page, or several runs side by side.",
    discussion: """
      The page needs no network and no scripts, and can be printed. A run may be at its end, stopped, \
      or still going on.
      """)

  @Argument(help: ArgumentHelp("Runs' folders.", valueName: "run"))
  var runs: [String]
  @Option(
    help: ArgumentHelp("The page to write (one run: its report.html).", valueName: "file"))
  var out: String?

  func validate() throws {
    guard out != nil || runs.count == 1 else {
      throw ValidationError("a page of several runs wants a place: give --out FILE")
    }
    guard out != "" else { throw ValidationError("--out wants the name of a file") }
  }

  func run() throws {
    Program.run {
      let request = try ReportRequest(runs: runs, out: out)
      try request.write()
      print("\(request.out): \(request.summary)")
    }
  }
}
