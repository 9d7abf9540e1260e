/// All settings, those that are not the network's defaults first.
struct SettingsSection {
  let run: RunReading

  var section: Markup {
    guard let configuration = run.configuration else {
      return PageFrame.section(
        "Settings", note: "Written by another version; as they stand in the run's folder.",
        "<pre class=\"scroll\">\(run.configurationText)</pre>")
    }
    let network = configuration.model.network
    let defaults = Configuration(network: network)
    let settings = Setting.all(of: network).map { setting in
      (setting, value: setting.text(configuration), usual: setting.text(defaults))
    }
    let changed = settings.filter { $0.value != $0.usual }
    let rows: [[Markup]] = changed.map { setting, value, usual in
      [
        "<code>\(setting.key)</code>", "<code>\(value.inOneLine)</code>",
        "<code>\(usual)</code>", "\(setting.summary)",
      ]
    }
    let rest: [Markup] = settings.filter { $0.value == $0.usual }.map {
      "<li><b>\($0.0.key)</b><code>\($0.value)</code></li>"
    }
    let table =
      changed.isEmpty
      ? "<p>All are the defaults of \(network.rawValue).</p>"
      : PageFrame.table(
        ["setting", "value", "default", "what it is"], numbers: 0..<0, texts: [1, 3],
        caption: "Those that differ from the defaults of \(network.rawValue)", rows)
    return PageFrame.section(
      "Settings", "\(table)\n<h3>At their defaults</h3>\n<ul class=\"settings\">\(rest)</ul>")
  }
}
