/// The frame of a report: a page that needs nothing but itself.
///
/// No scripts, fonts or pictures from elsewhere; light and dark as the reader has it, from narrow
/// screens to wide ones, and on paper always light, with no figure cut in two.
enum PageFrame {
  static func page(title: String, _ parts: [Markup]) -> Markup {
    """
    <!DOCTYPE html>
    <html lang="en"><head><meta charset="utf-8"/>
    <meta name="viewport" content="width=device-width, initial-scale=1"/>
    <title>\(title)</title>
    <style>
    \(Markup(stringLiteral: style))
    </style></head>
    <body><main>
    \(Markup(parts))
    <footer class="quiet">Written by Tutti \(Build.version)</footer>
    </main></body></html>

    """
  }

  static func section(_ title: String, note: Markup? = nil, _ body: Markup) -> Markup {
    let words: Markup = note.map { "<p class=\"note\">\($0)</p>\n" } ?? ""
    return "<section><h2>\(title)</h2>\n\(words)\(body)\n</section>"
  }

  /// The numbers that matter, as a list of cards.
  static func cards(_ cards: [(name: String, value: String, more: String)]) -> Markup {
    let items: [Markup] = cards.map {
      "<div><dt>\($0.name)</dt><dd>\($0.value) <small>\($0.more.isEmpty ? "\u{a0}" : $0.more)</small></dd></div>"
    }
    return "<dl class=\"cards\">\(items)</dl>"
  }

  /// A table in a box that scrolls where it is too wide.
  ///
  /// - Parameters:
  ///   - numbers: the columns that stand to the right
  ///   - texts: those that may take several lines
  ///   - rows: the first cell heads its row
  static func table(
    _ head: [String], numbers: Range<Int>, texts: Set<Int> = [], caption: String? = nil,
    _ rows: [[Markup]]
  ) -> Markup {
    func type(_ column: Int) -> Markup {
      numbers.contains(column)
        ? " class=\"number\"" : texts.contains(column) ? " class=\"text\"" : ""
    }
    let heads: [Markup] = head.enumerated().map { "<th scope=\"col\"\(type($0))>\($1)</th>" }
    let lines: [Markup] = rows.map { row in
      let cells: [Markup] = row.enumerated().map { column, cell in
        column == 0
          ? "<th scope=\"row\"\(type(column))>\(cell)</th>" : "<td\(type(column))>\(cell)</td>"
      }
      return "<tr>\(cells)</tr>\n"
    }
    let words: Markup = caption.map { "<caption>\($0)</caption>" } ?? ""
    return """
      <div class="scroll"><table>\(words)<thead><tr>\(heads)</tr></thead>
      <tbody>\(lines)</tbody></table></div>
      """
  }

  /// What differs from run to run is told apart by hue here, and by shape and label in the drawing.
  static let hues = 8

  private static let style = """
    :root { color-scheme: light; --paper: #f5f6f8; --card: #fff; --ink: #1c2127; --quiet: #5a6572;
      --line: #e1e5ea; --train: #1f66d0; --valid: #b84a0e; --bad: #c02626; --heat: 31 102 208;
      --r0: #1f66d0; --r1: #b84a0e; --r2: #1b7a43; --r3: #a4249c; --r4: #8a5a00; --r5: #0b7885;
      --r6: #c02626; --r7: #5a6572; }
    @media screen and (prefers-color-scheme: dark) {
      :root { color-scheme: dark; --paper: #101317; --card: #181c22; --ink: #e7eaee; --quiet: #98a3b0;
        --line: #2b323b; --train: #6aa6ff; --valid: #ff9b61; --bad: #ff7b7b; --heat: 106 166 255;
        --r0: #6aa6ff; --r1: #ff9b61; --r2: #58c98a; --r3: #e58be0; --r4: #e0b252; --r5: #4fc7d6;
        --r6: #ff7b7b; --r7: #98a3b0; }
    }
    * { box-sizing: border-box; }
    body { margin: 0; background: var(--paper); color: var(--ink);
      font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
      font-variant-numeric: tabular-nums; }
    main { max-width: 1160px; margin: 0 auto; padding: 24px 20px 48px; }
    h1 { font-size: 22px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
    h2 { font-size: 17px; margin: 0 0 8px; } h3 { font-size: 15px; margin: 16px 0 4px; }
    p { margin: 6px 0; overflow-wrap: anywhere; } .quiet, .note { color: var(--quiet); }
    .note { font-size: 13px; max-width: 52em; } .fault { color: var(--bad); font-weight: 600; }
    .warning { border: 1px solid var(--bad); border-radius: 8px; padding: 8px 14px; }
    section, figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
      padding: 14px 16px; margin: 14px 0 0; min-width: 0; }
    section figure { border: 0; padding: 0; margin: 12px 0 0; }
    .figures { display: grid; gap: 0 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
    figcaption { font-weight: 600; } figcaption small { font-weight: 400; color: var(--quiet); font-size: 13px; }
    .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 13px; color: var(--quiet); }
    .legend b { color: var(--ink); } .legend i { display: inline-block; width: 14px; height: 3px;
      border-radius: 2px; margin-right: 6px; vertical-align: middle; background: currentColor; }
    .cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0 0; }
    .cards div { flex: 1 1 150px; background: var(--card); border: 1px solid var(--line);
      border-radius: 10px; padding: 10px 14px; break-inside: avoid; }
    .cards dt { color: var(--quiet); font-size: 13px; }
    .cards dd { margin: 0; font-size: 20px; font-weight: 600; line-height: 1.3; }
    .cards small { display: block; font-size: 13px; font-weight: 400; color: var(--quiet); }
    .plot { position: relative; height: 220px; margin: 8px 12px 42px 46px; font-size: 12px; color: var(--quiet); }
    .plot.labelled { margin-right: 150px; } .plot.marked { margin-top: 20px; }
    .plot > svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
    .plot > span { position: absolute; white-space: nowrap; line-height: 1; }
    .plot .y { right: 100%; margin-right: 7px; transform: translateY(-50%); }
    .plot .x { top: 100%; margin-top: 8px; transform: translateX(-50%); }
    .plot .name { top: 100%; margin-top: 25px; right: 0; }
    .plot .end { transform: translate(8px, -50%); color: var(--ink); }
    .plot .point { transform: translate(-50%, -50%); line-height: 0; }
    .plot .by { transform: translate(-50%, -50%); color: var(--ink); }
    .plot .mark { bottom: 100%; transform: translateX(-50%); color: var(--bad); margin-bottom: 3px; }
    .plot > svg path { vector-effect: non-scaling-stroke; fill: none; stroke: currentColor; stroke-width: 1.8;
      stroke-linejoin: round; } .plot > svg path.rule { stroke: var(--line); stroke-width: 1; }
    .plot > svg path.dot { stroke-linecap: round; stroke-width: 6; }
    .plot > svg path.band { fill: currentColor; stroke: none; opacity: .18; }
    .plot > svg path.fall { stroke: var(--bad); stroke-width: 1; stroke-dasharray: 3 3; }
    .train { color: var(--train); } .valid { color: var(--valid); }
    .glyph { width: 12px; height: 12px; vertical-align: -1px; fill: currentColor; overflow: visible; }
    .r0 { color: var(--r0); } .r1 { color: var(--r1); } .r2 { color: var(--r2); } .r3 { color: var(--r3); }
    .r4 { color: var(--r4); } .r5 { color: var(--r5); } .r6 { color: var(--r6); } .r7 { color: var(--r7); }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; width: 100%; font-size: 14px; }
    caption { text-align: left; color: var(--quiet); font-size: 13px; padding: 4px 0; }
    th { text-align: left; font-weight: 400; } thead th { color: var(--quiet); font-size: 13px; vertical-align: bottom; }
    th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
    tr:last-child th, tr:last-child td { border-bottom: 0; } thead tr:last-child th { border-bottom: 1px solid var(--line); }
    td { white-space: nowrap; } tbody th, td.text { overflow-wrap: anywhere; min-width: 8em; max-width: 34em; }
    td.text { white-space: normal; min-width: 14em; }
    th.number, td.number { text-align: right; white-space: nowrap; min-width: 0; padding: 4px 0 4px 14px; }
    .number + td, .number + th { padding-left: 20px; }
    thead th.number { white-space: normal; } tbody th code { white-space: nowrap; } td code { display: inline-block; max-width: 24em; white-space: normal; } code { font-size: 13px; overflow-wrap: anywhere; }
    .bars { columns: 2 380px; column-gap: 36px; } .bars div { break-inside: avoid; }
    .bars table { table-layout: fixed; } .bars th, .bars td { padding: 2px 8px 2px 0; border: 0; font-size: 14px; }
    .bars tbody th { min-width: 0; width: 34%; } .bars thead th:first-child { width: 34%; }
    .bar { display: grid; grid-template-columns: 1fr 3em; gap: 6px; align-items: center; }
    .bar i { height: 9px; border-radius: 2px; background: linear-gradient(currentColor 0 0) 0 / var(--v) 100% no-repeat var(--line); }
    .bar b { font-weight: 400; color: var(--ink); text-align: right; }
    .heat { max-width: none; height: auto; display: block; } .heat text { fill: var(--ink); font-size: 11px; }
    .heat .none { fill: var(--line); } .heat .cell, .key i { fill: rgb(var(--heat)); background: rgb(var(--heat)); }
    .key i { width: 14px; height: 12px; border-radius: 0; } .key i.none { background: var(--line); }
    .settings { columns: 3 300px; column-gap: 28px; font-size: 13px; margin: 0; padding: 0; list-style: none; }
    .settings li { display: flex; gap: 12px; justify-content: space-between; break-inside: avoid; padding: 1px 0;
      overflow-wrap: anywhere; } .settings b { font-weight: 400; color: var(--quiet); }
    .strip { display: grid; grid-template-columns: minmax(0, 11em) 1fr; gap: 0 10px; font-size: 14px; align-items: center; }
    .strip .line { position: relative; height: 20px; border-bottom: 1px solid var(--line); margin: 0 8px; }
    .strip .line span { position: absolute; top: 50%; transform: translate(-50%, -50%); line-height: 0; }
    .strip .axis { position: relative; height: 20px; margin: 0 8px; font-size: 12px; color: var(--quiet); }
    .strip .axis span { position: absolute; transform: translateX(-50%); }
    .strip > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    footer { margin-top: 24px; font-size: 13px; }
    @media screen and (max-width: 560px) {
      main { padding: 16px 12px 32px; } section, figure { padding: 12px; } .wide { display: none; }
      .cards { gap: 8px; } .cards div { padding: 8px 12px; flex-basis: 130px; } .cards dd { font-size: 18px; }
      .plot.labelled { margin-right: 34px; } .strip { grid-template-columns: minmax(0, 7em) 1fr; }
      th, td { padding-right: 10px; } tbody th { min-width: 6em; }
    }
    @media print {
      @page { size: A4; margin: 14mm; }
      body { font-size: 10.5pt; background: #fff; } main { max-width: none; padding: 0; }
      * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
      section, figure { border-color: #ccc; } section { border: 0; padding: 8px 0; }
      figure, .strip span, tr, .cards { break-inside: avoid; } h2, h3, .note, figcaption, caption, thead { break-after: avoid; }
      .figures { grid-template-columns: 1fr 1fr; } .plot { height: 170px; } .scroll { overflow: visible; }
      .heat { width: 100%; } details::details-content { content-visibility: visible; display: block; }
      summary { display: none; } table { font-size: 9pt; } th, td { padding: 2pt 6pt 2pt 0; }
      th.number, td.number { padding: 2pt 0 2pt 6pt; } tbody th { min-width: 4em; } td.text { min-width: 8em; }
      .bars { columns: 2; column-gap: 20px; } .bars th, .bars td { font-size: 9pt; padding: 1pt 4pt 1pt 0; }
      .bars .bar { grid-template-columns: 1fr 2.6em; } .settings { columns: 2; font-size: 8.5pt; }
    }
    """
}
