/// A run's curves over its steps, each of bounded size however long the run.
struct RunCurves {
  let history: RunHistory
  private static let points = 400

  var figures: Markup {
    let figures = [loss, validation, throughput, learningRate].compactMap(\.self)
    return "<div class=\"figures\">\(figures)</div>"
  }

  /// How a curve of a run is thinned, in words; empty if it is not.
  var note: String {
    let steps = thinned(history.steps) { $0.loss }.valuesInPoint
    return steps > 1
      ? "Each point of a curve of steps is the mean of \(Figure.whole(steps)) steps; the band goes from the least to the greatest of them."
      : ""
  }

  private var loss: Markup? {
    plot(
      "Loss", caption: "training step by step, and validation",
      [
        curve("training", "train", thinned(history.steps) { $0.loss }, hasBand: true),
        curve("validation", "valid", validations { $0.loss }, hasDots: true),
      ])
  }

  private var validation: Markup? {
    plot(
      "Validation", caption: "areas under curves, means over tags",
      [
        curve("ROC-AUC", "train", validations { $0.rocAUC }, hasDots: true),
        curve("PR-AUC", "valid", validations { $0.prAUC }, hasDots: true),
      ], most: 1)
  }

  private var throughput: Markup? {
    plot(
      "Throughput",
      caption: history.incidents.contains(where: \.isFault)
        ? "clips a second; dashed where there was a fault" : "clips a second",
      [curve("", "train", thinned(history.steps) { $0.clipsPerSecond }, hasBand: true)],
      fromZero: true, marks: marks)
  }

  private var learningRate: Markup? {
    plot(
      "Learning rate", [curve("", "train", thinned(history.steps) { $0.learningRate })],
      fromZero: true)
  }

  /// Faults, a mark for each hundredth of the run that has any; the first ones are named.
  private var marks: [(x: Double, text: String)] {
    let width = max(1, Double(history.lastStep) / 100)
    var places: [Int: [String]] = [:]
    for incident in history.incidents where incident.isFault {
      places[Int(Double(incident.step) / width), default: []].append(incident.kind)
    }
    var lastNamed = -100
    return places.sorted { $0.key < $1.key }.map { place, kinds in
      let isFar = place - lastNamed >= 16 && (4...96).contains(place)
      if isFar { lastNamed = place }
      let step = min((Double(place) + 0.5) * width, Double(max(1, history.lastStep)))
      return (step, isFar ? kinds[0] + (kinds.count > 1 ? " …" : "") : "")
    }
  }

  // MARK: Making them

  private func thinned(
    _ steps: [RunHistory.Step], _ value: (RunHistory.Step) -> Double?
  ) -> ThinnedCurve {
    var curve = ThinnedCurve(capacity: Self.points)
    for step in steps { if let value = value(step) { curve.append(value, step: step.step) } }
    return curve
  }

  private func validations(_ value: (RunHistory.Validation) -> Double?) -> ThinnedCurve {
    var curve = ThinnedCurve(capacity: Self.points)
    for validation in history.validations {
      if let value = value(validation) { curve.append(value, step: validation.step) }
    }
    return curve
  }

  private func curve(
    _ name: String, _ style: String, _ thinned: ThinnedCurve, hasBand: Bool = false,
    hasDots: Bool = false
  ) -> Plot.Curve {
    let points = thinned.points
    var curve = Plot.Curve(
      name: name, style: style, points: points.map { (Double($0.step), $0.mean) })
    if hasBand && thinned.valuesInPoint > 1 {
      curve.band = points.map { (Double($0.step), $0.least, $0.greatest) }
    }
    curve.hasDots = hasDots && points.count <= 60
    return curve
  }

  /// Nil if there is nothing to draw.
  private func plot(
    _ title: String, caption: Markup = "", _ curves: [Plot.Curve], fromZero: Bool = false,
    most: Double = .infinity, marks: [(x: Double, text: String)] = []
  ) -> Markup? {
    let curves = curves.filter { !$0.points.isEmpty }
    let marked = marks.map(\.x)
    guard let x = Axis.steps(curves.flatMap { $0.points.map(\.x) } + marked),
      let y = Axis.around(
        curves.flatMap { $0.points.map(\.y) }, fromZero: fromZero, most: most)
    else { return nil }
    var plot = Plot(title: title, x: x, y: y, xName: "step", curves: curves)
    plot.marks = marks
    return plot.figure(caption)
  }
}
