import Foundation

/// Figures of runs on the same data, as in the paper: areas over the course of training, against the
/// number of parameters, and against the time that training took.
struct ComparisonFigures {
  let group: ComparedRuns.Group

  var figures: Markup {
    let scatters = [
      scatter(
        "ROC-AUC against parameters", xName: "weights and biases", hasLines: true
      ) { $0.run.weightsAndBiases.map(Double.init) },
      scatter("ROC-AUC against time of an epoch", xName: "seconds an epoch") {
        $0.run.history.secondsPerEpoch
      },
      scatter("ROC-AUC against training time", xName: "seconds in steps to the best validation") {
        entry in
        entry.run.history.best.flatMap { entry.run.history.trainingSeconds(to: $0.step) }
      },
    ].compactMap(\.self)
    return (curves ?? "") + "<div class=\"figures\">\(scatters)</div>"
  }

  // MARK: Curves

  /// Steps where all runs have steps of the same size, else clips.
  private var curves: Markup? {
    let sizes = Set(group.entries.map(\.run.clipsPerStep))
    let isInSteps = sizes.count == 1
    var curves: [Plot.Curve] = []
    var drawn: [ComparedRuns.Entry] = []
    for entry in group.entries {
      let scale = isInSteps ? 1 : Double(entry.run.clipsPerStep ?? 1)
      var thinned = ThinnedCurve(capacity: 200)
      for validation in entry.run.history.validations {
        if let area = validation.rocAUC { thinned.append(area, step: validation.step) }
      }
      guard !thinned.points.isEmpty else { continue }
      drawn.append(entry)
      curves.append(
        Plot.Curve(
          name: entry.label, style: entry.sign.style,
          points: thinned.points.map { (Double($0.step) * scale, $0.mean) },
          dashes: entry.sign.dashes))
    }
    guard let x = Axis.steps(curves.flatMap { $0.points.map(\.x) }),
      let y = Axis.around(curves.flatMap { $0.points.map(\.y) }, most: 1)
    else { return nil }
    var plot = Plot(
      title: "Validation ROC-AUC", x: x, y: y,
      xName: isInSteps ? "step" : "clips trained on", curves: curves)
    plot.hasRoomForNames = true
    let height = max(260, 17 * drawn.count)
    plot.height = height
    plot.labels = endLabels(drawn, curves, y, apart: 16 / Double(height))
    return plot.figure("macro average, by run")
  }

  /// Names to the right of the curves' ends, as near to them as they can be without touching.
  private func endLabels(
    _ entries: [ComparedRuns.Entry], _ curves: [Plot.Curve], _ y: Axis, apart: Double
  ) -> [Plot.Label] {
    let ends = zip(entries, curves).map { (entry: $0, y: 1 - y.place($1.points.last?.y ?? 0)) }
      .sorted { ($0.y, $0.entry.number) < ($1.y, $1.entry.number) }
    var places: [Double] = []
    for end in ends { places.append(max(end.y, (places.last ?? -1) + apart)) }
    // What was pushed out below moves up again.
    var limit = 1.0
    for index in places.indices.reversed() {
      places[index] = min(places[index], limit)
      limit = places[index] - apart
    }
    return zip(ends, places).map { end, place in
      let name = end.entry.label
      return Plot.Label(
        x: 1, y: place, style: "end",
        body:
          "\(end.entry.sign.glyph) \(end.entry.number)<span class=\"wide\"> \(name.count > 18 ? "…" + name.suffix(17) : name)</span>"
      )
    }
  }

  // MARK: Points

  private struct Point {
    let entry: ComparedRuns.Entry
    let network: Configuration.Network?
    let x, y: Double
  }

  /// A point for each run, with its number; a line for each network where that says something.
  private func scatter(
    _ title: String, xName: String, hasLines: Bool = false,
    _ value: (ComparedRuns.Entry) -> Double?
  ) -> Markup? {
    let points = group.entries.compactMap { entry -> Point? in
      guard let x = value(entry), x > 0, let y = group.area(entry) else { return nil }
      return Point(entry: entry, network: entry.run.configuration?.model.network, x: x, y: y)
    }
    // One point is compared with nothing.
    guard points.count > 1, let x = Axis.logarithmic(points.map(\.x)),
      let y = Axis.around(points.map(\.y), most: 1)
    else { return nil }
    let networks = Configuration.Network.allCases.filter { network in
      points.contains { $0.network == network }
    }
    var plot = Plot(title: title, x: x, y: y, xName: xName)
    plot.height = 260
    if hasLines {
      plot.curves = networks.map { network in
        let own = points.filter { $0.network == network }.sorted { ($0.x, $0.y) < ($1.x, $1.y) }
        return Plot.Curve(
          name: "", style: sign(network).style,
          points: own.count > 1 ? own.map { ($0.x, $0.y) } : [])
      }
    }
    plot.labels = signs(points, x, y)
    let key: [Markup] = networks.map { "\(sign($0).glyph) \($0.rawValue)\u{2003}" }
    return plot.figure(
      "\(group.areaName); numbers are those of the runs<br/>\(key)")
  }

  /// A network has one sign in all figures.
  private func sign(_ network: Configuration.Network?) -> RunSign {
    RunSign(
      index: network.flatMap { Configuration.Network.allCases.firstIndex(of: $0) }
        ?? PageFrame.hues - 1)
  }

  /// Signs, and numbers beside them where no other number is.
  private func signs(_ points: [Point], _ x: Axis, _ y: Axis) -> [Plot.Label] {
    var labels: [Plot.Label] = []
    var taken: [(x: Double, y: Double)] = points.map { (x.place($0.x), 1 - y.place($0.y)) }
    let (across, down) = (0.035, 0.06)
    for (point, place) in zip(points, taken) {
      labels.append(
        Plot.Label(
          x: place.x, y: place.y, style: "point", body: sign(point.network).glyph))
      let around = [(0, -1), (0, 1), (1, 0), (-1, 0), (1, -1), (-1, -1), (1, 1), (-1, 1)]
        .map { (x: place.x + $0.0 * across, y: place.y + $0.1 * down) }
      let free = around.first { spot in
        (0...1).contains(spot.x) && (0...1).contains(spot.y)
          && !taken.contains {
            abs($0.x - spot.x) < across * 0.8 && abs($0.y - spot.y) < down * 0.8
          }
      }
      let spot = free ?? around[0]
      taken.append(spot)
      labels.append(
        Plot.Label(x: spot.x, y: spot.y, style: "by", body: "\(point.entry.number)"))
    }
    return labels
  }
}
