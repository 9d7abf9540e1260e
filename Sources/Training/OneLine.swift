extension String {
  /// The text as it can stand in a message, whatever file it was taken from: without control
  /// characters, and not endless.
  var inOneLine: String {
    var line = ""
    for scalar in unicodeScalars.prefix(1_000) {
      let isControl = scalar.properties.generalCategory == .control
      line.unicodeScalars.append(isControl ? "\u{FFFD}" : scalar)
    }
    return unicodeScalars.count > 1_000 ? line + "…" : line
  }
}
