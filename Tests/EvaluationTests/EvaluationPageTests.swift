import ChestXray
import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import Evaluation

@Suite struct EvaluationPageTests {
  /// Six images of a finding whose name is markup: of the positives 1 and 4 score low, of the negatives 2 and 0 high.
  private let table = LabelTable(
    findings: ["<b>Mass</b>"],
    samples: zip(["a", "b", "c&x", "d", "e", "f"] as [String], [false, true, false, true, true, false]).map { name, isPositive in
      Sample(image: "x/\(name).png", labels: [isPositive ? .positive : .negative], patient: name)
    })

  private func predictions() -> Predictions {
    var predictions = Predictions(findings: table.findings, table: table)
    for (sample, p) in zip(table.samples, [0.7, 0.2, 0.9, 0.8, 0.2, 0.1]) {
      predictions.append(sample, probabilities: [p])
    }
    return predictions
  }

  private func report(_ count: Int) throws -> EvaluationReport {
    let scores = Scores(predictions())
    var report = EvaluationReport(
      list: try JudgedList(path: "list.txt", labels: nil, table: table),
      columns: (0..<count).map { .init(name: "c\($0)<script>", predictions: predictions(), scores: scores) })
    if count > 1 {
      report.comparisons = Comparison.againstFirst(
        [predictions(), predictions()], byPatient: true, pool: ThreadPool())
    }
    return report
  }

  private func page(_ report: EvaluationReport) throws -> String {
    let provenance = try Provenance(command: "chexnet evaluate '<x>'", date: "2026", engine: "cpu", files: [])
    let cases = WorstImages.cases(report.columns[0].predictions)
    return EvaluationPage(report: report, provenance: provenance, worst: (0, cases, [:])).html
  }

  @Test func `the first words warn of what the page holds, nothing is fetched, run or taken for markup`() throws {
    for count in [1, 2] {
      let html = try page(try report(count))
      let body = try #require(html.range(of: "<header>"))
      #expect(
        html[body.upperBound...].trimmingCharacters(in: .whitespacesAndNewlines).hasPrefix(
          "<p class=\"warning\">This page contains patient images and identifiers.</p>"))
      #expect(!html.contains("<script") && !html.contains("<b>") && !html.contains("<x>"))
      #expect(html.contains("&lt;b&gt;Mass&lt;/b&gt;"))
      for word in ["http:", "https:", "url(", "@import", "src=\"/", "<link"] {
        #expect(!html.contains(word), "\(word)")
      }
      #expect(html.contains("c&amp;x.png"))
      #expect(html.trimmingCharacters(in: .whitespacesAndNewlines).hasSuffix("</html>"))
    }
  }

  @Test func `the worst images are the highest negatives and the lowest positives, the earlier first`() {
    let cases = WorstImages.cases(predictions())
    #expect(cases.map(\.row) == [2, 0, 1, 4])
    #expect(cases.map(\.isFalsePositive) == [true, true, false, false])
  }

  /// By hand: from the highest score down the labels are 0 1 0 1 1 0, the fourth and fifth tied. The picture's side is 200 from (34, 8).
  @Test func `curves go through the points of the definition`() throws {
    let known = KnownScores(predictions(), finding: 0, patients: predictions().patientNumbers)
    let plots = CurvePlots(name: "Mass", columns: [known])
    let third = 200.0 / 3
    func place(_ x: Double, _ y: Double) -> String {
      func tenth(_ value: Double) -> String {
        let text = decimals(value, 1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
      }
      return "\(tenth(34 + third * x)) \(tenth(208 - third * y))"
    }
    let roc = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 3), (3, 3)].map { place(Double($0), Double($1)) }
    #expect(
      plots.receiverOperating.svg.contains("M" + roc.joined(separator: "L") + "\""), "\(plots.receiverOperating.svg)")
    // Precision 1/2 to the first of three positives, then 3/5.
    let steps = [(0, 1.5), (1, 1.5), (1, 1.8), (3, 1.8)].map { place(Double($0), $1) }
    #expect(
      plots.precisionRecall.svg.contains("M" + steps.joined(separator: "L") + "\""), "\(plots.precisionRecall.svg)")
  }

  @Test func `every interval of the forest stands where its numbers say`() throws {
    var sums = Predictions(findings: ["<b>Mass</b>"], table: table)
    for (sample, p) in zip(table.samples, [0.7, 0.6, 0.3, 0.8, 0.2, 0.1]) { sums.append(sample, probabilities: [p]) }
    let scores = Scores(sums)
    let report = EvaluationReport(
      list: try JudgedList(path: "list.txt", labels: nil, table: table),
      columns: [.init(name: "a", predictions: sums, scores: scores)])
    let interval = try #require(scores.findings[0].interval)
    let low = min((interval.low * 10).rounded(.down) / 10, 0.9)
    func x(_ value: Double) -> Double { 140 + 380 * (value - low) / (1 - low) }
    let svg = ForestPlot(report: report).drawing.svg
    let numbers = try #require(
      svg.firstMatch(of: /M([0-9.]+) [0-9.]+L([0-9.]+) [0-9.]+" fill="none" stroke="#0072b2" stroke-width="2"/))
    #expect(abs((try #require(Double(numbers.1))) - x(interval.low)) < 0.051)
    #expect(abs((try #require(Double(numbers.2))) - x(interval.high)) < 0.051)
  }
}
