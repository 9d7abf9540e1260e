import Foundation
import Testing
import Training

@Suite struct ProgressTests {
  static var example: ProgressLine {
    var line = ProgressLine(epoch: 3, epochs: 50, step: 120, stepsPerEpoch: 400)
    line.loss = 0.14234
    line.bestAUC = 0.8123
    line.clipsPerSecond = 35.25
    line.epochRemaining = 32
    line.runRemaining = 3_730
    return line
  }

  @Test(
    "a line says what fits, the most important last to go",
    arguments: [
      (
        130,
        "[#########---------------------] epoch 3/50 step 120/400  35.2 clips/s  loss 0.1423  best AUC 0.8123  epoch 0:32  run 1:02:10"
      ),
      (
        105,
        "[###-------] epoch 3/50 step 120/400  35.2 clips/s  loss 0.1423  best AUC 0.8123  epoch 0:32  run 1:02:10"
      ),
      (
        95,
        "epoch 3/50 step 120/400  35.2 clips/s  loss 0.1423  best AUC 0.8123  epoch 0:32  run 1:02:10"
      ),
      (80, "epoch 3/50 step 120/400  35.2 clips/s  loss 0.1423  best AUC 0.8123  run 1:02:10"),
      (70, "epoch 3/50 step 120/400  loss 0.1423  best AUC 0.8123  run 1:02:10"),
      (50, "epoch 3/50 step 120/400  loss 0.1423  run 1:02:10"),
      (40, "epoch 3/50 step 120/400  loss 0.1423"),
      (30, "epoch 3/50 step 120/400"),
      (7, "epoch 3"), (0, ""), (-5, ""),
    ])
  func widths(width: Int, text: String) { #expect(Self.example.text(width: width) == text) }

  @Test("no line is wider than asked, and all are ASCII")
  func everyWidth() {
    for width in 0..<200 {
      let text = Self.example.text(width: width)
      #expect(text.count <= width && text.utf8.count == text.count)
    }
  }

  @Test("what is not known yet is not said, and odd numbers are not shown as times")
  func unknown() {
    var line = ProgressLine(epoch: 1, epochs: 2, step: 0, stepsPerEpoch: 4)
    #expect(line.text(width: 80) == "[------------------------------] epoch 1/2 step 0/4")
    line.loss = .nan
    line.runRemaining = .infinity
    line.epochRemaining = -1
    #expect(line.text(width: 80, withBar: false) == "epoch 1/2 step 0/4  loss nan  epoch ?  run ?")
  }

  @Test(
    "durations are short to read",
    arguments: [
      (0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3_599.4, "59:59"), (18_367, "5:06:07"),
      (183_845, "2d 03:04"), (1e12, "?"),
    ])
  func durations(seconds: Double, text: String) {
    var line = ProgressLine(epoch: 1, epochs: 1, step: 0, stepsPerEpoch: 1)
    line.runRemaining = seconds
    #expect(line.text(width: 200, withBar: false).hasSuffix("  run \(text)"))
  }

  /// A clock set by hand and a record of what was written. One thread has it.
  final class Scene: @unchecked Sendable {
    var time = 100.0
    var width = 200
    var written: [String] = []

    func progress(terminal: Bool, maxSteps: Int? = nil) -> ProgressDisplay {
      ProgressDisplay(
        epochs: 3, stepsPerEpoch: 10, clipsPerStep: 16, maxSteps: maxSteps, lineEvery: 10,
        output: ProgressDisplay.Output(
          isTerminal: terminal, width: { self.width }, write: { self.written.append($0) }),
        now: { self.time })
    }
  }

  @Test("off a terminal there is a line every ten seconds, and one at the end")
  func lines() {
    let scene = Scene()
    let progress = scene.progress(terminal: false)
    for step in 1...30 {
      progress.update(step: step, loss: 0.5)
      if step == 10 { progress.validated(bestAUC: 0.75) }
      scene.time += 4
    }
    progress.finish()
    #expect(scene.written.count == 11)
    #expect(scene.written[0] == "epoch 1/3 step 1/10  loss 0.5000\n")
    #expect(
      scene.written[1] == "epoch 1/3 step 4/10  4.0 clips/s  loss 0.5000  epoch 0:24  run 1:44\n")
    #expect(scene.written[4].contains("epoch 2/3 step 3/10") && scene.written[4].contains("0.7500"))
    #expect(scene.written[10].hasPrefix("epoch 3/3 step 10/10"))
    #expect(scene.written[10].hasSuffix("epoch 0:00  run 0:00\n"))
    #expect(scene.written.allSatisfy { !$0.contains("\u{1b}") && !$0.contains("\r") })
  }

  @Test("on a terminal one line is overwritten, ten times a second, and cleared in the end")
  func terminal() {
    let scene = Scene()
    let progress = scene.progress(terminal: true)
    for step in 1...20 {
      progress.update(step: step, loss: 0.5)
      scene.time += 0.051
    }
    #expect(scene.written.count == 10)
    #expect(scene.written.allSatisfy { $0.hasPrefix("\r\u{1b}[K[") && !$0.contains("\n") })
    progress.note("worker 2 joined")
    progress.update(step: 21, loss: 0.5)
    progress.finish()
    progress.finish()
    #expect(scene.written[10...11] == ["\r\u{1b}[K", "worker 2 joined\n"])
    #expect(scene.written[12].contains("epoch 3/3 step 1/10"))
    #expect(scene.written[13...] == ["\r\u{1b}[K"])
  }

  @Test("a bar fits its terminal, however narrow it becomes")
  func narrow() {
    let scene = Scene()
    let progress = scene.progress(terminal: true)
    for (step, width) in [120, 60, 20, 3, 1, 0].enumerated() {
      scene.width = width
      scene.time += 1
      progress.update(step: step, loss: 0.5)
      let line = scene.written[step].dropFirst("\r\u{1b}[K".count)
      #expect(line.count <= max(0, width - 1))
    }
  }

  @Test("a limit on the steps shortens the time that remains")
  func limit() {
    let scene = Scene()
    let progress = scene.progress(terminal: false, maxSteps: 12)
    progress.update(step: 10, loss: nil)
    scene.time += 60
    progress.update(step: 11, loss: nil)
    #expect(scene.written[1] == "epoch 2/3 step 1/10  0.3 clips/s  epoch 1:00  run 1:00\n")
  }

  @Test("notes off a terminal are plain lines")
  func notes() {
    let scene = Scene()
    let progress = scene.progress(terminal: false)
    progress.note("hello")
    progress.finish()
    #expect(scene.written == ["hello\n"])
  }
}
