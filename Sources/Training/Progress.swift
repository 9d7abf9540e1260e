/// How a training is getting on: a bar on a terminal, now and then a line elsewhere.
///
/// What a line says is a pure function of numbers (`ProgressLine`); `ProgressDisplay` measures the
/// speed and decides when and how to show it. The clock and the way out are passed in.

import Foundation

/// The numbers of one moment of a training.
package struct ProgressLine: Equatable, Sendable {
  /// Counted from 1.
  package var epoch: Int
  package var epochs: Int
  /// Steps done in this epoch.
  package var step: Int
  package var stepsPerEpoch: Int
  package var loss: Double?
  package var bestAUC: Double?
  package var clipsPerSecond: Double?
  /// Seconds to the end of the epoch, and of the run; shown as `epoch 0:12` and `run 3:04:05`.
  package var epochRemaining: Double?
  package var runRemaining: Double?

  package init(epoch: Int, epochs: Int, step: Int, stepsPerEpoch: Int) {
    (self.epoch, self.epochs, self.step, self.stepsPerEpoch) = (epoch, epochs, step, stepsPerEpoch)
  }

  /// The line in at most `width` characters, ASCII only. A narrow one loses the bar first, then
  /// one number after the other; below that it is cut.
  package func text(width: Int, withBar: Bool = true) -> String {
    let position = "epoch \(epoch)/\(epochs) step \(step)/\(stepsPerEpoch)"
    // In the order in which they stand, with the rank by which they go.
    let numbers: [(rank: Int, text: String?)] = [
      (4, clipsPerSecond.map { "\(Self.decimals($0, 1)) clips/s" }),
      (1, loss.map { "loss \(Self.decimals($0, 4))" }),
      (3, bestAUC.map { "best AUC \(Self.decimals($0, 4))" }),
      (5, epochRemaining.map { "epoch \(Self.duration($0))" }),
      (2, runRemaining.map { "run \(Self.duration($0))" }),
    ]
    for mostRank in (0...5).reversed() {
      let kept = numbers.filter { $0.rank <= mostRank }.compactMap(\.text)
      let line = ([position] + kept).joined(separator: "  ")
      if line.count > width { continue }
      let barWidth = mostRank == 5 && withBar ? min(30, width - line.count - 3) : 0
      return barWidth < 5 ? line : "[\(bar(barWidth))] " + line
    }
    return String(position.prefix(max(0, width)))
  }

  private func bar(_ width: Int) -> String {
    let share = stepsPerEpoch > 0 ? min(1, max(0, Double(step) / Double(stepsPerEpoch))) : 0
    let done = Int(share * Double(width))
    return String(repeating: "#", count: done) + String(repeating: "-", count: width - done)
  }

  private static func decimals(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  /// As in 0:07, 12:34, 5:06:07 and 2d 03:04.
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "?" }
    let whole = Int(seconds.rounded())
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60)
    if days > 0 { return String(format: "%dd %02d:%02d", days, hours, minutes) }
    if hours > 0 { return String(format: "%d:%02d:%02d", hours, minutes, whole % 60) }
    return String(format: "%d:%02d", minutes, whole % 60)
  }
}

package final class ProgressDisplay {
  /// Where the lines go, and how.
  package struct Output: Sendable {
    /// Whether a line can be overwritten.
    let isTerminal: Bool
    /// Characters in a line.
    let width: @Sendable () -> Int
    let write: @Sendable (String) -> Void

    package init(
      isTerminal: Bool, width: @escaping @Sendable () -> Int,
      write: @escaping @Sendable (String) -> Void
    ) {
      (self.isTerminal, self.width, self.write) = (isTerminal, width, write)
    }

    /// Standard error: a bar if it is a terminal that can overwrite.
    package static var standardError: Output {
      let dumb = [nil, "", "dumb"].contains(ProcessInfo.processInfo.environment["TERM"])
      return Output(
        isTerminal: isatty(STDERR_FILENO) == 1 && !dumb,
        width: {
          var size = winsize()
          let known = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
          return known ? Int(size.ws_col) : 80
        },
        write: Program.writeToStandardError)
    }
  }

  private let output: Output
  private let now: () -> Double
  private let lineEvery: Double
  private let clipsPerStep: Int
  private let stepsPerEpoch: Int
  private let epochs: Int
  /// The last step of the run, counted over all epochs.
  private let totalSteps: Int

  private var lastShown: Double?
  private var lastStep: (time: Double, step: Int)?
  private var secondsPerStep: Double?
  private var bestAUC: Double?
  private var barIsShown = false

  /// - Parameters:
  ///   - lineEvery: seconds between lines where there is no terminal; a bar moves ten times a second
  ///   - now: seconds on a clock that never goes back
  package init(
    epochs: Int, stepsPerEpoch: Int, clipsPerStep: Int, maxSteps: Int? = nil,
    lineEvery: Double = 10, output: Output,
    now: @escaping () -> Double = { ProcessInfo.processInfo.systemUptime }
  ) {
    precondition(epochs > 0 && stepsPerEpoch > 0, "progress: \(epochs) of \(stepsPerEpoch) steps")
    self.epochs = epochs
    self.stepsPerEpoch = stepsPerEpoch
    self.clipsPerStep = clipsPerStep
    self.lineEvery = lineEvery
    self.output = output
    self.now = now
    totalSteps = min(maxSteps ?? .max, epochs * stepsPerEpoch)
  }

  /// Shows that `step` updates are done, counted over all epochs; the first call starts the clock.
  package func update(step: Int, loss: Double?) {
    let time = now()
    if let last = lastStep, step > last.step {
      let seconds = (time - last.time) / Double(step - last.step)
      // A mean that forgets: a tenth of each new step, so that a join shows within twenty.
      secondsPerStep = secondsPerStep.map { $0 + 0.1 * (seconds - $0) } ?? seconds
    }
    lastStep = (time, step)
    let interval = output.isTerminal ? 0.1 : lineEvery
    if let lastShown, time - lastShown < interval, step < totalSteps { return }
    lastShown = time
    show(line(step: step, loss: loss))
  }

  /// Takes note of the best ROC-AUC so far, to be shown from now on.
  package func validated(bestAUC: Double?) { self.bestAUC = bestAUC }

  /// Writes a line of text that stays, above the bar if there is one.
  package func note(_ text: String) {
    clearBar()
    output.write(text + "\n")
  }

  /// Clears the bar: the terminal's line is as it was.
  package func finish() { clearBar() }

  private func line(step: Int, loss: Double?) -> ProgressLine {
    let epochIndex = min(max(0, step - 1) / stepsPerEpoch, epochs - 1)
    let stepInEpoch = step - epochIndex * stepsPerEpoch
    var line = ProgressLine(
      epoch: epochIndex + 1, epochs: epochs, step: stepInEpoch, stepsPerEpoch: stepsPerEpoch)
    line.loss = loss
    line.bestAUC = bestAUC
    if let secondsPerStep, secondsPerStep > 0 {
      line.clipsPerSecond = Double(clipsPerStep) / secondsPerStep
      let runSteps = max(0, totalSteps - step)
      line.runRemaining = Double(runSteps) * secondsPerStep
      line.epochRemaining = Double(min(runSteps, stepsPerEpoch - stepInEpoch)) * secondsPerStep
    }
    return line
  }

  private func show(_ line: ProgressLine) {
    if output.isTerminal {
      // One column stays free: some terminals wrap when the last one is written.
      output.write("\r\u{1b}[K" + line.text(width: output.width() - 1))
      barIsShown = true
    } else {
      output.write(line.text(width: .max, withBar: false) + "\n")
    }
  }

  private func clearBar() {
    guard barIsShown else { return }
    output.write("\r\u{1b}[K")
    barIsShown = false
  }
}
