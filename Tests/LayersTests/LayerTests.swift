import Kernels
import Layers
import Testing

@Suite("Every layer keeps its word")
struct LayerTests {
  @Test("passes write all that is theirs and nothing else", arguments: LayerCase.all)
  func windows(_ example: LayerCase) {
    let run = LayerRun(example)
    let inputs = { [run.x] + run.parameters + run.statistics }
    let before = inputs().map { bits($0.tensor.values) }

    run.forward()
    #expect(run.isIntact, "forward wrote outside its windows")
    #expect((run.batchStatistics + [run.y]).allSatisfy { $0.isFinite })
    #expect(inputs().map { bits($0.tensor.values) } == before)
    let y = bits(run.y.tensor.values)

    run.backward()
    #expect(run.isIntact, "backward wrote outside its windows")
    #expect((run.gradients + [run.dx!]).allSatisfy { $0.isFinite })
    #expect(inputs().map { bits($0.tensor.values) } == before)
    #expect(bits(run.y.tensor.values) == y)
  }

  @Test("evaluation writes its output and nothing else", arguments: LayerCase.all)
  func evaluation(_ example: LayerCase) {
    let run = LayerRun(example, training: false)
    run.forward()
    #expect(run.isIntact && run.y.isFinite)
  }

  @Test(
    "in evaluation a clip's output does not depend on the clips beside it",
    arguments: LayerCase.all)
  func clipsAlone(_ example: LayerCase) {
    let together = LayerRun(example, training: false)
    together.forward()
    let alone = LayerRun(
      LayerCase(example.layer, clips: 1, separated: example.separated), training: false)
    let (inCount, outCount) = (example.layer.input.count, example.layer.output.count)
    for clip in 0..<example.clips {
      alone.x.fill(Array(together.x.tensor.values[(clip * inCount)...].prefix(inCount)))
      alone.forward()
      let expected = together.y.tensor.values[(clip * outCount)...].prefix(outCount)
      // OpenBLAS may take another path for fewer rows, so closeness is all that is promised.
      expectClose(
        alone.y.tensor.values, expected.map(Double.init), within: { _ in 2e-6 }, "clip \(clip)")
    }
  }

  @Test("the same numbers come out without the input's gradient", arguments: LayerCase.all)
  func withoutInputGradient(_ example: LayerCase) {
    let (with, without) = (LayerRun(example), LayerRun(example, needsInputGradient: false))
    for run in [with, without] {
      run.forward()
      run.backward()
    }
    #expect(
      with.gradients.map { bits($0.tensor.values) }
        == without.gradients.map { bits($0.tensor.values) })
    #expect(without.isIntact)
  }

  @Test("the bits do not depend on the number of threads", arguments: LayerCase.all)
  func threads(_ example: LayerCase) {
    let results = [1, 2, 3].map { threads in
      let run = LayerRun(example, threads: threads)
      run.forward()
      let forward = ([run.y] + run.batchStatistics).map { bits($0.tensor.values) }
      run.backward()
      #expect(run.isIntact)
      return forward + ([run.dx!] + run.gradients).map { bits($0.tensor.values) }
    }
    #expect(results[0] == results[1] && results[0] == results[2])
  }

  @Test(
    "the output and the batch's statistics are those of the definition",
    arguments: LayerCase.all, [true, false])
  func reference(_ example: LayerCase, training: Bool) {
    guard let layer = example.layer as? any Referenced else { return }
    let run = LayerRun(example, training: training)
    run.forward()
    let expected = layer.reference(ReferencePass(run))
    // Outputs are of the order of one; sums behind them have up to 400 terms, and normalization
    // multiplies their rounding by at most 3.
    expectClose(run.y.tensor.values, expected.y, within: { 4e-6 * (1 + abs(expected.y[$0])) }, "y")
    for (actual, exact) in zip(run.batchStatistics, expected.batchStatistics) {
      expectClose(
        actual.tensor.values, exact, within: { 2e-6 * (1 + abs(exact[$0])) }, "statistics")
    }
  }

  @Test("every layer in the table says what it computes")
  func referenced() {
    let silent = LayerCase.all.filter { !($0.layer is any Referenced) }
    #expect(silent.isEmpty)
  }

  @Test(
    "a convolution's bias, which the batch's mean takes away, has a gradient of exactly zero",
    arguments: LayerCase.all.filter { $0.layer is ConvolutionBlock })
  func convolutionBias(_ example: LayerCase) {
    let run = LayerRun(example)
    run.forward()
    run.backward()
    #expect(run.gradients[1].tensor.values.allSatisfy { $0 == 0 })
  }

  /// The gates of a recurrent layer come first in what it keeps.
  @Test(
    "among the gates of a hard sigmoid some are beyond either corner",
    arguments: LayerCase.all.filter { $0.layer.summary.hasSuffix("hard sigmoid") })
  func hardGates(_ example: LayerCase) {
    let run = LayerRun(example)
    run.forward()
    let gates = example.clips * example.layer.input[0] * example.layer.parameters[0].shape[0]
    let values = Set(run.saved.tensor.values.prefix(gates))
    #expect(values.contains(0) && values.contains(1))
  }

  /// As the frames that pad time are.
  @Test("a frame that is zero in every clip comes out as its bias, and its weight stays")
  func zeroFrame() {
    let run = LayerRun(LayerCase(FrameNormalization(name: "bn0", input: [1, 3, 4])))
    let (frames, zero) = (4, 2)
    for row in 0..<(3 * 3) { run.x.tensor.base[row * frames + zero] = 0 }
    run.forward()
    run.backward()
    for row in 0..<(3 * 3) {
      #expect(run.y.tensor.values[row * frames + zero] == run.parameters[1].tensor.values[zero])
    }
    #expect(run.batchStatistics.allSatisfy { $0.tensor.values[zero] == 0 })
    #expect(run.gradients[0].tensor.values[zero] == 0)
    #expect(run.gradients[1].tensor.values[zero] != 0)
  }

  @Test("parameters have PyTorch's names, shapes and order")
  func names() {
    func described(_ layer: any Layer) -> [String] {
      layer.parameters.map { "\($0.name) \($0.shape)" }
        + layer.statistics.map { "\($0.name) \($0.shape) from \($0.initial)" }
    }
    let block = LayerCase.block(channels: (3, 5), map: (7, 11), kernel: (3, 4), pool: (2, 2))
    #expect(
      described(block.layer) == [
        "conv1.weight 5 × 3 × 3 × 4", "conv1.bias 5", "bn1.weight 5", "bn1.bias 5",
        "bn1.running_mean 5 from 0.0", "bn1.running_var 5 from 1.0",
      ])
    #expect(
      described(Dense(name: "dense1", input: [2, 7], outputs: 5)) == [
        "dense1.weight 5 × 14", "dense1.bias 5",
      ])
    #expect(
      described(GRU(name: "gru1", input: [6, 7], hidden: 5)) == [
        "gru1.weight_ih_l0 15 × 7", "gru1.weight_hh_l0 15 × 5", "gru1.bias_ih_l0 15",
      ])
    #expect(
      described(GRU(name: "gru1", input: [6, 7], hidden: 5, reset: .after)).last
        == "gru1.bias_hh_l0 15")
    #expect(
      described(LSTM(name: "rnn1", input: [6, 7], hidden: 5)) == [
        "rnn1.weight_ih_l0 20 × 7", "rnn1.weight_hh_l0 20 × 5", "rnn1.bias_ih_l0 20",
      ])
    #expect(
      described(
        OutputRecurrence(
          name: "rnn1", outputName: "output", input: [6, 7], hidden: 5, outputs: 3)) == [
          "rnn1.weight_ih_l0 5 × 7", "rnn1.weight_oh_l0 5 × 3", "rnn1.bias_ih_l0 5",
          "output.weight 3 × 5", "output.bias 3",
        ])
  }

  @Test("multiplications are counted as the sizes say")
  func multiplyAdds() {
    #expect(GRU(name: "gru1", input: [15, 96], hidden: 48).multiplyAdds == 15 * 144 * (96 + 48))
    #expect(LSTM(name: "rnn1", input: [15, 96], hidden: 8).multiplyAdds == 15 * 32 * (96 + 8))
    #expect(Dense(name: "dense1", input: [3, 5], outputs: 7).multiplyAdds == 105)
    let block = LayerCase.block(channels: (3, 5), map: (7, 11), kernel: (3, 4), pool: (2, 2))
    #expect(block.layer.multiplyAdds == 7 * 11 * 5 * 3 * 12)
  }

  @Test("a cutter's windows start on boundaries of 16 floats and do not overlap")
  func cutter() {
    let whole = Tensor(shape: [Cutter.count([3], [16], [2, 9], [1])])
    var cutter = Cutter(whole)
    let windows = [cutter.take([3]), cutter.take([16]), cutter.take([2, 9]), cutter.take([1])]
    #expect(windows.map(\.offset) == [0, 16, 32, 64])
    #expect(whole.count == 80)
  }
}

extension Fenced {
  var isFinite: Bool { tensor.values.allSatisfy(\.isFinite) }
}
