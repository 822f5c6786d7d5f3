import ChestXray
import Platform

extension EvaluationReport {
  /// For a terminal of 80 columns: the list, the AUROCs, and what else was asked for.
  ///
  ///     finding             positives  negatives   AUROC    95 % interval        CheXNet
  ///     Atelectasis              2420      20013  0.8094  0.8005 – 0.8180  0.8311 above
  ///     Hernia*                    42      22391     n/a              n/a  0.9164
  ///     mean of 13                                0.8094  0.8011 – 0.8174         0.8414
  public var text: String {
    let notes = footnotes.isEmpty ? [] : [footnotes.map { $0 + "\n" }.joined()]
    return ([list.text + "\n"] + legend(end: "\n") + [scoreTable.text()] + notes + furtherTables.map { $0.text() })
      .joined(separator: "\n")
  }

  /// The same as `text`, for papers and issues.
  public var markdown: String {
    // Two blanks at its end keep a line from being joined with the next.
    let notes = footnotes.isEmpty ? [] : [footnotes.map { $0.replacing("*", with: "\\*") + "  \n" }.joined()]
    return ([list.text + "\n"] + legend(end: "  \n") + [scoreTable.markdown] + notes + furtherTables.map(\.markdown))
      .joined(separator: "\n")
  }

  /// What the columns of several are.
  private func legend(end: String) -> [String] {
    columns.count > 1 ? [columns.indices.map { "\(label($0)) \(columns[$0].name.printable)\(end)" }.joined()] : []
  }

  /// One row for each checkpoint, group of patients (`all`, `sex F`, …) and finding.
  public var csv: String {
    var text = CSVText([
      "checkpoint", "group", "finding", "positives", "negatives", "auroc", "low", "high", "average_precision", "brier",
      "calibration_error", "published_auroc",
    ])
    for column in columns {
      let groups = [("all", column.scores)] + column.subgroups.map { ($0.name, $0.scores) }
      for (group, scores) in groups {
        for finding in scores.findings {
          text.append([
            .name(column.name), .name(group), .name(finding.name), .count(finding.positives), .count(finding.negatives),
            .number(finding.auroc), .number(finding.interval?.low), .number(finding.interval?.high),
            .number(finding.averagePrecision), .number(finding.calibration?.brier),
            .number(finding.calibration?.expectedError),
            .number(group == "all" ? published?.auroc(of: finding.name) : nil),
          ])
        }
      }
    }
    return text.text
  }

  // MARK: - Tables

  /// Several columns side by side; of one its intervals, and the published AUROCs.
  var scoreTable: TextTable {
    let single = columns.count == 1
    let hasIntervals = single && confidence != .none
    var header = ["finding", "positives", "negatives"]
    header += single ? ["AUROC"] : columns.indices.map(label)
    if hasIntervals { header.append("95 % interval") }
    if let published { header.append(published.title) }
    var rows = findings.map { name, positives, negatives -> [String] in
      let scores = columns.map { $0.scores[name] }
      var row = [name.printable + (positives < 50 ? "*" : ""), String(positives), String(negatives)]
      row += scores.map { Self.digits($0?.auroc) }
      if hasIntervals { row.append(Self.text(scores[0]?.interval)) }
      if let published { row.append(Self.text(published.auroc(of: name), beside: single ? scores[0]?.interval : nil)) }
      return row
    }
    let defined = columns.map { $0.scores.findings.count { $0.auroc != nil } }
    var mean = [Set(defined).count == 1 ? "mean of \(defined[0])" : "mean of defined", "", ""]
    mean += columns.map { Self.digits($0.scores.mean) }
    if hasIntervals { mean.append(Self.text(columns[0].scores.meanInterval)) }
    // Of the same findings, or of none.
    if let published {
      let isWhole = findings.count { published.auroc(of: $0.name) != nil } == Finding.allCases.count
      mean.append(isWhole ? Self.text(published.mean, beside: single ? columns[0].scores.meanInterval : nil) : "")
    }
    rows.append(mean)
    return TextTable(header: header, rows: rows)
  }

  /// All columns with their intervals, however wide.
  var pageTable: TextTable {
    func text(_ auroc: Double?, _ interval: ConfidenceInterval?) -> String {
      Self.digits(auroc) + (interval.map { " (\(decimals($0.low, 4))–\(decimals($0.high, 4)))" } ?? "")
    }
    let labels = columns.count == 1 ? ["AUROC"] : columns.indices.map(label)
    let rows = findings.map { name, positives, negatives in
      [name + (positives < 50 ? "*" : ""), String(positives), String(negatives)]
        + columns.map { text($0.scores[name]?.auroc, $0.scores[name]?.interval) }
        + (published.map { [Self.text($0.auroc(of: name), beside: nil)] } ?? [])
    }
    let mean =
      ["mean", "", ""] + columns.map { text($0.scores.mean, $0.scores.meanInterval) }
      + (published.map { [decimals($0.mean, 4)] } ?? [])
    return TextTable(
      header: ["finding", "positives", "negatives"] + labels + (published.map { [$0.title] } ?? []), rows: rows + [mean]
    )
  }

  /// What the table's signs mean.
  var footnotes: [String] {
    var lines: [String] = []
    let scores = columns[0].scores
    if columns.count == 1, let how = scores.confidence.explanation(images: scores.images, patients: scores.patients) {
      lines.append(how)
    }
    if findings.contains(where: { $0.positives < 50 }) {
      lines.append("* fewer than 50 positives: an interval may cover less than it says")
    }
    if let published {
      lines.append("\(published.title): \(published.source)")
      lines.append("measured on \(published.split)")
      if published.list == nil || published.list != list.known { lines.append("between lists 2 points are usual") }
      if columns.count == 1, confidence != .none {
        lines.append("in, above, below: where the published AUROC lies beside our interval")
      }
    }
    return lines
  }

  /// Comparisons, groups of patients, and thresholds, of several columns those of the best.
  private var furtherTables: [TextTable] {
    comparisonTables + [subgroupTable].compactMap(\.self)
      + thresholdTables(of: best(among: Array(columns.indices)) ?? 0)
  }

  var comparisonTables: [TextTable] {
    comparisons.map { comparison in
      TextTable(
        title:
          "\(label(comparison.second)) against \(label(comparison.first)): AUROC\(label(comparison.second)) − AUROC\(label(comparison.first)), paired, "
          + (confidence == .delongImages ? "as if each image were of another patient" : "by patient"),
        header: ["finding", "difference", "95 % interval", "p", "Holm's p"],
        rows: comparison.findings.map { finding in
          guard let test = finding.test else { return [finding.name.printable, "n/a", "n/a", "n/a", "n/a"] }
          let interval = test.interval
          return [
            finding.name.printable, Self.signed(-test.difference),
            "\(Self.signed(-interval.high)) – \(Self.signed(-interval.low))", Self.probability(test.pValue),
            Self.probability(finding.correctedP),
          ]
        })
    }
  }

  func thresholdTables(of index: Int) -> [TextTable] {
    guard let thresholdList else { return [] }
    let column = columns.count > 1 ? label(index) + ", the highest mean AUROC (--json has the others'): " : ""
    return ThresholdRule.allCases.map { rule in
      TextTable(
        title: "\(column)threshold by \(rule.rawValue) on \(fileName(of: thresholdList).printable)",
        header: ["finding", "threshold", "sensitivity", "specificity", "PPV", "NPV"],
        rows: columns[index].thresholds.map { finding in
          guard let point = finding.points.first(where: { $0.rule == rule })?.point else {
            return [finding.name.printable] + [String](repeating: "n/a", count: 5)
          }
          let shares = [
            point.sensitivity, point.specificity, point.positivePredictiveValue, point.negativePredictiveValue,
          ]
          return [finding.name.printable, decimals(point.threshold, 4)]
            + shares.map { $0.value.map { decimals($0, 3) } ?? "n/a" }
        })
    }
  }

  /// The mean AUROC of each group in each column, of one column with its interval; nil where no table tells groups.
  var subgroupTable: TextTable? {
    let groups = columns[0].subgroups
    if groups.isEmpty { return nil }
    let single = columns.count == 1
    return TextTable(
      title: "mean AUROC in groups of patients",
      header: ["group", "images", "patients", "findings"] + (single ? ["AUROC"] : columns.indices.map(label))
        + (single && confidence != .none ? ["95 % interval"] : []),
      rows: groups.indices.map { place in
        let scores = columns.map { $0.subgroups[place].scores }
        let defined = scores[0].findings.count { $0.auroc != nil }
        return [
          groups[place].name.printable, String(scores[0].images), String(scores[0].patients), String(defined),
        ] + scores.map { Self.digits($0.mean) }
          + (single && confidence != .none ? [Self.text(scores[0].meanInterval)] : [])
      })
  }

  // MARK: - Cells

  static func digits(_ value: Double?) -> String { value.map { decimals($0, 4) } ?? "n/a" }

  static func text(_ interval: ConfidenceInterval?) -> String {
    interval.map { "\(decimals($0.low, 4)) – \(decimals($0.high, 4))" } ?? "n/a"
  }

  private static func text(_ published: Double?, beside interval: ConfidenceInterval?) -> String {
    guard let published else { return "" }
    // As wide as the longest, so that the numbers stand below one another.
    let place = interval.map { " " + $0.place(of: published) } ?? ""
    return decimals(published, 4) + place + String(repeating: " ", count: place.isEmpty ? 0 : 6 - place.count)
  }

  static func signed(_ value: Double) -> String { (value < 0 ? "−" : "+") + decimals(abs(value), 4) }

  static func probability(_ p: Double?) -> String { p.map { $0 < 0.0001 ? "<0.0001" : decimals($0, 4) } ?? "n/a" }
}
