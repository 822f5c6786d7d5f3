import ChestXray
import Foundation
import Mustache
import Platform

/// An evaluation as a page: one file without scripts that fetches nothing, for a screen and for paper.
struct EvaluationPage {
  let report: EvaluationReport
  let provenance: Provenance
  /// The column whose worst images are shown.
  let worst: (column: Int, cases: [WorstImages.Case], pictures: WorstImages.Pictures)

  var html: String {
    let library = MustacheLibrary(templates: ["table": pageTemplate(Self.tableTemplate)])
    return pageTemplate(Self.template).render(context, library: library)
  }

  private var context: [String: Any] {
    [
      "style": pageStyle, "list": report.list.text.split(separator: "\n").map(String.init),
      "columns": report.columns.enumerated().map(column), "isSeveral": report.columns.count > 1,
      "warnings": report.warnings, "unverified": report.unverified,
      "scores": table(report.pageTable), "notes": report.footnotes, "forest": ForestPlot(report: report).drawing.svg,
      "forestNote": report.published.map { ["Upright strokes: \($0.title)."] } ?? [],
      "findings": findings, "isCompared": !report.comparisons.isEmpty,
      "comparisons": report.comparisonTables.map(table),
      "groups": report.subgroupTable.map { [table($0)] } ?? [],
      "groupFindings": groupTables.map(table), "worst": worstSections, "worstColumn": name(worst.column),
      "version": toolVersion, "command": provenance.command, "date": provenance.date, "engine": provenance.engine,
      "files": provenance.files.map { ["name": $0.name, "sha256": $0.sha256] },
    ]
  }

  private func name(_ column: Int) -> String {
    (report.columns.count > 1 ? report.label(column) + " " : "") + report.columns[column].name
  }

  private func column(_ index: Int, _ column: EvaluationReport.Column) -> [String: Any] {
    let network = column.checkpoint.map { metadata in
      [
        metadata.architecture.name, metadata.source.map { "imported from \($0.name)" },
        metadata.trainedOn.isEmpty ? nil : "trained on \(metadata.trainedOn.map(\.name).joined(separator: ", "))",
        "by chexnet \(metadata.toolVersion)",
      ].compactMap(\.self).joined(separator: ", ")
    }
    return [
      "label": report.label(index), "name": column.name, "network": network.map { [$0] } ?? [],
      "color": Drawing.Ink.column(index).color,
    ]
  }

  /// Curves and thresholds, finding by finding.
  private var findings: [[String: Any]] {
    let patients = report.columns[0].predictions.patientNumbers
    return report.findings.map { name, positives, negatives in
      let known = report.columns.map { column in
        column.predictions.labelledFindings.first { column.predictions.findings[$0] == name }.map {
          KnownScores(column.predictions, finding: $0, patients: patients)
        }
      }
      let plots = CurvePlots(name: name, columns: known)
      return [
        "name": name, "counts": "\(positives) positive, \(negatives) negative",
        "plots": [plots.receiverOperating, plots.precisionRecall, plots.reliability].map(\.svg),
        "numbers": table(numbers(of: name)), "thresholds": thresholds(of: name).map { [table($0)] } ?? [],
      ]
    }
  }

  private func numbers(of name: String) -> TextTable {
    TextTable(
      header: ["", "AUROC", "95 % interval", "average precision", "Brier", "calibration error"],
      rows: report.columns.indices.map { index in
        let score = report.columns[index].scores[name]
        return [
          report.columns.count > 1 ? report.label(index) : report.columns[index].name,
          EvaluationReport.digits(score?.auroc), EvaluationReport.text(score?.interval),
          EvaluationReport.digits(score?.averagePrecision), EvaluationReport.digits(score?.calibration?.brier),
          EvaluationReport.digits(score?.calibration?.expectedError),
        ]
      })
  }

  /// Nil where none were asked for.
  private func thresholds(of name: String) -> TextTable? {
    guard let list = report.thresholdList else { return nil }
    let rows = report.columns.enumerated().flatMap { index, column in
      (column.thresholds.first { $0.name == name }?.points ?? []).map { rule, point -> [String] in
        let shares = [
          point.sensitivity, point.specificity, point.positivePredictiveValue, point.negativePredictiveValue,
        ]
        return [
          (report.columns.count > 1 ? report.label(index) + " " : "") + rule.rawValue, decimals(point.threshold, 4),
        ]
          + shares.map { share in
            guard let value = share.value, let interval = share.interval else { return "n/a" }
            return "\(decimals(value, 3)) (\(decimals(interval.low, 3))–\(decimals(interval.high, 3)))"
          }
      }
    }
    return TextTable(
      title: "Thresholds chosen on \(fileName(of: list)), Wilson's intervals",
      header: ["rule", "threshold", "sensitivity", "specificity", "PPV", "NPV"], rows: rows)
  }

  /// The AUROC of each finding in each group, a table for each column.
  private var groupTables: [TextTable] {
    report.columns.indices.compactMap { index in
      let groups = report.columns[index].subgroups
      if groups.isEmpty { return nil }
      return TextTable(
        title: name(index), header: ["finding"] + groups.map(\.name),
        rows: report.columns[index].scores.findings.map { finding in
          [finding.name] + groups.map { EvaluationReport.digits($0.scores[finding.name]?.auroc) }
        })
    }
  }

  private func table(_ table: TextTable) -> [String: Any] {
    ["title": table.title.map { [$0] } ?? [], "header": table.header, "rows": table.rows.map { ["cells": $0] }]
  }

  private var worstSections: [[String: Any]] {
    let predictions = report.columns[worst.column].predictions
    let byFinding = Dictionary(grouping: worst.cases.indices) { worst.cases[$0].finding }
    return byFinding.keys.sorted().map { finding in
      let cases = (byFinding[finding] ?? []).map { index -> [String: Any] in
        let one = worst.cases[index]
        let row = predictions.rows[one.row]
        let present = predictions.findings.indices.filter { row.labels[$0] == .positive }.map {
          predictions.findings[$0]
        }
        let pictures = worst.pictures[index]
        return [
          "kind": one.isFalsePositive ? "false positive" : "false negative", "image": fileName(of: row.image),
          "patient": row.patient ?? "not known", "probability": decimals(row.probabilities[finding], 3),
          "labels": present.isEmpty ? "no finding" : present.joined(separator: ", "),
          "pictures": pictures.map {
            [["data": $0.radiograph, "alt": "radiograph"], ["data": $0.overlay, "alt": "heatmap"]]
          } ?? [],
        ]
      }
      return ["finding": predictions.findings[finding], "cases": cases]
    }
  }
}

/// How an evaluation came about.
public struct Provenance: Sendable {
  /// As it was typed.
  public var command: String
  /// In UTC.
  public var date: String
  /// Device, precision and crops.
  public var engine: String
  public var files: [(name: String, sha256: String)]

  /// Digests the files at `paths`. Throws where one cannot be read.
  public init(command: String, date: String, engine: String, files paths: [String]) throws(PlatformError) {
    (self.command, self.date, self.engine) = (command, date, engine)
    files = []
    for path in paths { files.append((path, try SHA256.hex(ofFile: path))) }
  }
}
