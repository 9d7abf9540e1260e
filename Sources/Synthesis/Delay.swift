/// Echoes, rooms, and tapes that run unevenly: everything that needs the past of a sound.

extension Sound {
  /// Repeats after `seconds`, each time weaker by `feedback`.
  mutating func echo(seconds: Double, feedback: Float, gain: Float) {
    let delay = max(1, Sound.index(seconds: seconds))
    var line = [Float](repeating: 0, count: delay)
    var place = 0
    for i in samples.indices {
      let late = line[place]
      line[place] = samples[i] + feedback * late
      samples[i] += gain * late
      place = place + 1 == delay ? 0 : place + 1
    }
  }

  /// Schroeder's reverberation: four combs side by side, then two all-passes.
  ///
  /// M. R. Schroeder, "Natural sounding artificial reverberation" (1962).
  /// - Parameter seconds: in which the room falls by 60 dB
  mutating func reverberate(seconds: Double, gain: Float) {
    var room = Sound(count: samples.count)
    for delay in [0.0297, 0.0371, 0.0411, 0.0437] {
      let loss = Float(Elementary.exp2(-9.97 * delay / seconds))
      Self.comb(samples, into: &room.samples, delay: Sound.index(seconds: delay), loss: loss)
    }
    for delay in [0.005, 0.0017] { room.allPass(delay: Sound.index(seconds: delay)) }
    room.scale(by: 0.25)
    add(room, gain: gain)
  }

  /// A comb whose feedback loses treble, as walls do.
  private static func comb(
    _ input: [Float], into output: inout [Float], delay: Int, loss: Float
  ) {
    var line = [Float](repeating: 0, count: delay)
    var (place, dull): (Int, Float) = (0, 0)
    line.withUnsafeMutableBufferPointer { line in
      output.withUnsafeMutableBufferPointer { output in
        for i in input.indices {
          let late = line[place]
          output[i] += late
          dull += 0.7 * (late - dull)
          line[place] = input[i] + loss * dull
          place = place + 1 == delay ? 0 : place + 1
        }
      }
    }
  }

  private mutating func allPass(delay: Int) {
    var line = [Float](repeating: 0, count: delay)
    var place = 0
    for i in samples.indices {
      let late = line[place]
      let input = samples[i] + 0.7 * late
      line[place] = input
      samples[i] = late - 0.7 * input
      place = place + 1 == delay ? 0 : place + 1
    }
  }

  /// The sound a little later, by a time that swings: alone a wavering tape, mixed a chorus.
  ///
  /// - Parameter depth: seconds that the delay swings to either side of `seconds`; less than it
  func wavering(seconds: Double, depth: Double, hertz: Double, phase: Double) -> Sound {
    precondition(depth < seconds, "a delay of \(seconds) s cannot swing by \(depth) s")
    var result = Sound(count: samples.count)
    let block = 32
    var delay = (seconds + depth * Elementary.sine(turns: phase)) * Sound.rate
    for begin in stride(from: 0, to: samples.count, by: block) {
      let end = min(samples.count, begin + block)
      let age = Double(end) / Sound.rate
      let target = (seconds + depth * Elementary.sine(turns: phase + hertz * age)) * Sound.rate
      let step = (target - delay) / Double(end - begin)
      for i in begin..<end {
        delay += step
        let position = Double(i) - delay
        guard position >= 0 else { continue }
        let index = Int(position)
        let part = Float(position - Double(index))
        result.samples[i] =
          samples[index] + part * (samples[min(index + 1, i)] - samples[index])
      }
    }
    return result
  }
}
