/// AUROCs with their intervals, finding below finding, and what others have published.
struct ForestPlot {
  let report: EvaluationReport

  private static let (left, right, textWidth) = (140.0, 520.0, 240.0)
  private static let (rowHeight, gap, top) = (15.0, 8.0, 10.0)

  var drawing: Drawing {
    let rows = rows
    let height = rows.reduce(Self.top) { $0 + Double($1.marks.count) * Self.rowHeight + Self.gap } + 30
    var drawing = Drawing(
      width: Self.right + Self.textWidth, height: height, title: "AUROC and 95 % interval of each finding")
    let low = lowest(rows)
    func x(_ value: Double) -> Double { Self.left + (Self.right - Self.left) * (value - low) / (1 - low) }
    let bottom = height - 22
    for tick in stride(from: 1.0, through: low - 1e-9, by: -0.1) {
      drawing.line((x(tick), Self.top - 4), (x(tick), bottom), .faint, width: 0.5)
      drawing.text(decimals(tick, 1), x(tick), bottom + 14, .middle)
    }
    var y = Self.top
    for row in rows {
      let middle = y + Double(row.marks.count) * Self.rowHeight / 2
      drawing.text(row.name, Self.left - 8, middle + 4, .end)
      if let published = row.published {
        drawing.line(
          (x(max(published, low)), y), (x(max(published, low)), y + Double(row.marks.count) * Self.rowHeight), .plain,
          width: 2)
      }
      for (column, mark) in row.marks.enumerated() {
        let center = y + (Double(column) + 0.5) * Self.rowHeight
        if let interval = mark.interval {
          drawing.line((x(max(interval.low, low)), center), (x(interval.high), center), .column(column), width: 2)
        }
        if let auroc = mark.auroc { drawing.dot(x(max(auroc, low)), center, radius: 4, .column(column)) }
        let interval = mark.interval.map { " (\(decimals($0.low, 3))–\(decimals($0.high, 3)))" } ?? ""
        let label = report.columns.count > 1 ? report.label(column) + " " : ""
        drawing.text(label + EvaluationReport.digits(mark.auroc) + interval, Self.right + 10, center + 4)
      }
      y += Double(row.marks.count) * Self.rowHeight + Self.gap
    }
    return drawing
  }

  private struct Row {
    let name: String
    let published: Double?
    let marks: [(auroc: Double?, interval: ConfidenceInterval?)]
  }

  private var rows: [Row] {
    let scores = report.columns.map(\.scores)
    let findings = report.findings.map { name, _, _ in
      Row(
        name: name, published: report.published?.auroc(of: name),
        marks: scores.map { ($0[name]?.auroc, $0[name]?.interval) })
    }
    return findings + [
      Row(name: "mean", published: report.published?.mean, marks: scores.map { ($0.mean, $0.meanInterval) })
    ]
  }

  /// A tenth at or below all that is shown, 0.9 at most.
  private func lowest(_ rows: [Row]) -> Double {
    let values = rows.flatMap { row in
      row.marks.flatMap { [$0.interval?.low, $0.auroc] } + [row.published]
    }.compactMap(\.self)
    return min(((values.min() ?? 0.5) * 10).rounded(.down) / 10, 0.9)
  }
}
