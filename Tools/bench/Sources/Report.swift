import Evaluation
import Foundation
import Platform

/// All rows, for people and for machines.
struct Report {
  let machine: Machine
  /// The backend's name.
  let device: String
  let settings: Settings
  let results: [RowResult]

  var json: JSONValue {
    ["machine": machine.json, "settings": settings.json(device: device), "rows": .array(results.map(\.json))]
  }

  /// Two lines on the circumstances, then a line for each row:
  ///
  ///     chexnet 0.1.0 · 2026-11-24T15:42:08Z · AMD EPYC · 2 processors · load 0.41 · OpenBLAS Cooperlake
  ///     6 calls to warm up, medians of 9 rounds of at least 0.5 s
  ///
  ///     row             median        min        max  unit      peak MB  on
  ///     training-b16      3.41       3.22       3.47  images/s     2981  densenet121, 224×224, reference, threads: 2
  var text: String {
    let circumstances = [
      "chexnet \(toolVersion)", machine.date, machine.processor, "\(machine.processors) processors",
      "load \(decimals(machine.load, 2))", "OpenBLAS \(machine.openBLAS)",
    ]
    let method =
      "\(settings.warmUp) calls to warm up, medians of \(settings.rounds) rounds of at least \(settings.seconds) s"
    var lines = [circumstances.joined(separator: " · "), method, ""]
    let width = max(3, results.map(\.name.count).max() ?? 0)
    lines.append(
      Self.line(["row", "median", "min", "max", "unit", "peak MB", "on"], nameWidth: width))
    for result in results {
      let values = [result.median, result.minimum, result.maximum].map(Self.figures)
      let peak = result.peakMegabytes.map { decimals($0, 0) } ?? "–"
      lines.append(
        Self.line([result.name] + values + [result.unit, peak, result.subject + share(result)], nameWidth: width))
    }
    return lines.joined(separator: "\n")
  }

  /// `, 94 % of the peak`: of one thread's, for a kernel where the peak was measured too.
  private func share(_ result: RowResult) -> String {
    guard result.name.hasPrefix("kernel-"), result.unit == Work.Unit.gigaflops(operations: 0).text,
      let peak = results.first(where: { $0.name == RowName.peak.description })
    else { return "" }
    return ", \(decimals(100 * result.median * Double(settings.threads) / peak.median, 0)) % of the peak"
  }

  private static func line(_ cells: [String], nameWidth: Int) -> String {
    let widths = [-nameWidth, 9, 9, 9, -8, 7, 0]
    return zip(cells, widths).map { cell, width in
      let space = String(repeating: " ", count: max(0, abs(width) - cell.count))
      return width < 0 ? cell + space : space + cell
    }.joined(separator: "  ")
  }

  /// Three figures or more: `0.0123`, `3.41`, `25.1`, `12345678`.
  private static func figures(_ value: Double) -> String {
    value >= 100 ? decimals(value, 0) : value >= 10 ? decimals(value, 1) : decimals(value, value >= 1 ? 2 : 4)
  }
}
