import Foundation

/// A drawing of curves and points that stretches to any width.
///
/// Lines are SVG in units of a thousandth of width and height, with strokes that do not scale; words
/// are text of the page, placed by per cent, and so as large on a telephone as on paper.
struct Plot {
  /// Values over steps; a band where a point stands for many, dots where each is to be seen.
  struct Curve {
    var name: String
    /// A class of the style sheet: its colour.
    var style: String
    var points: [(x: Double, y: Double)]
    var band: [(x: Double, low: Double, high: Double)] = []
    var hasDots = false
    /// A pattern of dashes; empty for a whole line.
    var dashes = ""
  }

  /// A word or a sign at a place in the drawing.
  struct Label {
    var x, y: Double
    var style: String
    var body: Markup
  }

  let title: String
  let x, y: Axis
  var xName: String
  var curves: [Curve] = []
  var labels: [Label] = []
  /// Where on the axis of steps something fell out, and how it is called.
  var marks: [(x: Double, text: String)] = []
  /// Room on the right for the names of curves.
  var hasRoomForNames = false
  /// In pixels; nil takes the style sheet's.
  var height: Int?

  /// - Parameter caption: what the figure shows, beside its title
  func figure(_ caption: Markup = "") -> Markup {
    let classes = ["plot", hasRoomForNames ? "labelled" : nil, marks.isEmpty ? nil : "marked"]
      .compactMap(\.self).joined(separator: " ")
    return """
      <figure><figcaption>\(title) <small>\(caption)</small></figcaption>
      \(legend)<div class="\(classes)"\(size)>
      <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img"><title>\(title) over \(xName)</title>
      \(rules)\(drawnMarks)\(curves.map(drawn))</svg>
      \(yTicks)\(xTicks)\(markNames)\(labels.map(placed))
      </div></figure>
      """
  }

  private var size: Markup { height.map { " style=\"height:\($0)px\"" } ?? "" }

  /// Names are needed where there are several, and are not at the lines' ends.
  private var legend: Markup {
    guard !hasRoomForNames, curves.contains(where: { !$0.name.isEmpty }) else { return "" }
    let items: [Markup] = curves.filter { !$0.points.isEmpty && !$0.name.isEmpty }.map {
      "<span><i class=\"\($0.style)\"></i>\($0.name)</span>"
    }
    return "<div class=\"legend\">\(items)</div>\n"
  }

  // MARK: Lines

  private func point(_ x: Double, _ y: Double) -> String {
    Self.unit(self.x.place(x)) + " " + Self.unit(1 - self.y.place(y))
  }

  private static func unit(_ share: Double) -> String {
    String(format: "%.1f", min(max(share, -0.01), 1.01) * 1000)
  }

  private static func percent(_ share: Double) -> String {
    String(format: "%.2f%%", min(max(share, -0.01), 1.01) * 100)
  }

  private var rules: Markup {
    let lines = y.ticks(4).map { "M0 \(Self.unit(1 - y.place($0.value)))h1000" }
    return "<path class=\"rule\" d=\"\(lines.joined())\"/>\n"
  }

  private var drawnMarks: Markup {
    guard !marks.isEmpty else { return "" }
    let lines = marks.map { "M\(Self.unit(x.place($0.x))) 0v1000" }
    return "<path class=\"fall\" d=\"\(lines.joined())\"/>\n"
  }

  private func drawn(_ curve: Curve) -> Markup {
    var parts: [Markup] = []
    if !curve.band.isEmpty {
      let upper = curve.band.map { point($0.x, $0.high) }
      let lower = curve.band.reversed().map { point($0.x, $0.low) }
      parts.append("<path class=\"band\" d=\"M\((upper + lower).joined(separator: "L"))Z\"/>")
    }
    if curve.points.count > 1 {
      let line = curve.points.map { point($0.x, $0.y) }.joined(separator: "L")
      let dashes: Markup =
        curve.dashes.isEmpty ? "" : " stroke-dasharray=\"\(curve.dashes)\""
      parts.append("<path d=\"M\(line)\"\(dashes)/>")
    }
    if curve.hasDots || curve.points.count == 1 {
      parts += curve.points.map {
        "<path class=\"dot\" d=\"M\(point($0.x, $0.y))h0\"><title>\(curve.name) \(xName) \(Figure.short($0.x)): \($0.y, digits: 4)</title></path>"
      }
    }
    return "<g class=\"\(curve.style)\">\(parts)</g>\n"
  }

  // MARK: Words

  private var yTicks: [Markup] {
    y.ticks(4).map {
      "<span class=\"y\" style=\"top:\(Self.percent(1 - y.place($0.value)))\">\($0.text)</span>"
    }
  }

  /// Every second one is left out on narrow screens.
  private var xTicks: [Markup] {
    let numbers: [Markup] = x.ticks(6, compact: true).enumerated().map { index, tick in
      let type: Markup = index.isMultiple(of: 2) ? "x" : "x wide"
      let left = Self.percent(x.place(tick.value))
      return "<span class=\"\(type)\" style=\"left:\(left)\">\(tick.text)</span>"
    }
    return numbers + ["<span class=\"name\">\(xName)</span>"]
  }

  private var markNames: [Markup] {
    marks.filter { !$0.text.isEmpty }.map {
      "<span class=\"mark\" style=\"left:\(Self.percent(x.place($0.x)))\">\($0.text)</span>"
    }
  }

  private func placed(_ label: Label) -> Markup {
    let top = Self.percent(label.y)
    return
      "<span class=\"\(label.style)\" style=\"left:\(Self.percent(label.x));top:\(top)\">\(label.body)</span>"
  }
}
