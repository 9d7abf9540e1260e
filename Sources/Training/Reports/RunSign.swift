/// How one of several runs or networks is drawn: a hue, a shape and dashes, which together tell 48
/// apart, also without colours; its number or name always stands beside it.
struct RunSign {
  let index: Int

  var style: String { "r\(index % PageFrame.hues)" }

  var dashes: String { ["", "7 4", "2 4", "9 3 2 3", "14 4", "4 2"][index / PageFrame.hues % 6] }

  private var shape: Markup {
    switch (index / PageFrame.hues + index % PageFrame.hues) % 6 {
    case 0: "<circle r=\"4.6\"/>"
    case 1: "<path d=\"M-4.2-4.2h8.4v8.4h-8.4z\"/>"
    case 2: "<path d=\"M0-5.4L5.2 4h-10.4z\"/>"
    case 3: "<path d=\"M0-6L5 0 0 6-5 0z\"/>"
    case 4: "<path d=\"M0 5.4L5.2-4h-10.4z\"/>"
    default: "<path d=\"M-5.4-1.8h3.6v-3.6h3.6v3.6h3.6v3.6h-3.6v3.6h-3.6v-3.6h-3.6z\"/>"
    }
  }

  var glyph: Markup {
    "<svg class=\"glyph \(style)\" viewBox=\"-6 -6 12 12\" aria-hidden=\"true\">\(shape)</svg>"
  }
}
