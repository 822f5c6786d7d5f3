import ChestXray
import Platform

extension Localization {
  /// A table for each criterion, at most 80 columns wide: what was found of each finding's boxes, in per cent, and
  /// the false detections per map, with Wang et al.'s figures below each finding; then what was left out.
  ///
  ///     localisation (Wang et al., CVPR 2017): 325 boxes on 325 maps, 787 detections
  ///
  ///                                     found, % (IoBB above)            false per map
  ///     finding           boxes   0.1  0.25   0.5  0.75   0.9  0.1 0.25  0.5 0.75  0.9
  ///     Atelectasis          24 100.0 100.0  95.8  29.2   4.2 0.08 0.92 1.08 1.75 2.00
  ///       Wang, Table 4     180  72.8  55.0  28.3  16.7  13.3 0.83 0.92 1.02 1.06 1.08
  public var text: String {
    let scored = scored
    var blocks: [[String]] = []
    if scored.isEmpty {
      blocks.append(["localisation: no map has a box"])
    } else {
      let (boxes, maps) = scored.reduce((0, 0)) { ($0.0 + $1.tally.boxes, $0.1 + $1.tally.maps) }
      let detections = scored.reduce(0) { $0 + $1.tally.detections }
      blocks.append([
        "localisation (Wang et al., CVPR 2017): \(counted(boxes, "box")) on \(counted(maps, "map")), "
          + counted(detections, "detection")
      ])
      blocks += LocalizationCriterion.allCases.map { table($0, scored) }
      if scored.contains(where: { $0.finding.isPublished }) { blocks.append(Self.publishedNote) }
    }
    if !leftOut.isEmpty { blocks.append(leftOut) }
    return blocks.map { $0.joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
  }

  private static let publishedNote = [
    "Wang: their own networks (Tables 4 and 7 trained on ChestX-ray8, Table 19 on",
    "ChestX-ray14) on all 984 boxes. Their false detections are divided by 984",
    "whatever the finding; ours, by the finding's maps: not to be compared.",
  ]

  /// In the order of ChestX-ray14.
  private var scored: [(finding: Finding, tally: Tally)] {
    Finding.allCases.compactMap { finding in tallies[finding].map { (finding, $0) } }
  }

  private func table(_ criterion: LocalizationCriterion, _ scored: [(finding: Finding, tally: Tally)]) -> [String] {
    let columns = criterion.thresholds.indices.filter { criterion.printed.contains(criterion.thresholds[$0]) }
    func row(_ name: String, _ boxes: String, _ accuracy: [String], _ falseDetections: [String]) -> String {
      left(name, 18) + right(boxes, 5) + columns.map { right(accuracy[$0], 6) }.joined()
        + columns.map { right(falseDetections[$0], 5) }.joined()
    }
    let thresholds = criterion.thresholds.map { String($0) }
    let found = "found, % (\(criterion.rawValue) above)"
    var lines = [
      String(repeating: " ", count: 23) + right(found, 6 * columns.count) + right("false per map", 5 * columns.count),
      row("finding", "boxes", thresholds, thresholds),
    ]
    for (finding, tally) in scored {
      lines.append(
        row(
          finding.name, String(tally.boxes), tally[criterion].map { percent(tally.accuracy($0)) },
          tally[criterion].map { threeDigits(tally.falsePerMap($0)) }))
      for published in PublishedLocalization.tables(criterion) {
        guard let values = published.values(finding) else { continue }
        lines.append(
          row(
            "  Wang, Table \(published.table)", String(values.boxes),
            // Of whole boxes: cut off at four decimals, 1 of 180 would be 0.5 %.
            values.accuracy.map { percent(($0 * Double(values.boxes)).rounded() / Double(values.boxes)) },
            values.falsePositives.map(threeDigits)))
      }
    }
    return lines
  }

  /// What does not count, and why: a line each.
  private var leftOut: [String] {
    [
      (ofOtherImages, "of images that are not among these"),
      (ofOtherFindings, "of findings that the checkpoint has no class for"),
      (notDrawn, "of maps that were not drawn (--finding all draws every one)"),
      (outside, "wholly outside of their image"),
    ].filter { $0.0 > 0 }.map { "left out: \(counted($0.0, "box")) \($0.1)" }
      + [
        (duplicates, "given twice, counted once"),
        (clipped, "over the edge of the image, counted with the part inside"),
      ].filter { $0.0 > 0 }.map { "\(counted($0.0, "box")) \($0.1)" }
  }

  /// `{"levels", "boxes", "maps", "detections", "findings": [{"name", "boxes", "maps", "detections", "iobb":
  /// [{"above", "hits", "accuracy", "false_detections", "false_per_map"}], "iou": […]}], "left_out": {…},
  /// "duplicates", "clipped", "published": [{"source", "criterion", "above", "findings": [{"name", "boxes",
  /// "accuracy", "afp"}]}]}`.
  public var json: JSONValue {
    let scored = scored
    func total(_ count: KeyPath<Tally, Int>) -> JSONValue {
      JSONValue(scored.reduce(0) { $0 + $1.tally[keyPath: count] })
    }
    return [
      "levels": .array(Self.levels.map { JSONValue(Int($0)) }), "boxes": total(\.boxes), "maps": total(\.maps),
      "detections": total(\.detections), "findings": .array(scored.map { $0.tally.json(of: $0.finding) }),
      "left_out": [
        "image_not_given": JSONValue(ofOtherImages), "finding_not_a_class": JSONValue(ofOtherFindings),
        "map_not_drawn": JSONValue(notDrawn), "outside_image": JSONValue(outside),
      ], "duplicates": JSONValue(duplicates), "clipped": JSONValue(clipped),
      "published": .array(LocalizationCriterion.allCases.flatMap(PublishedLocalization.tables).map(\.json)),
    ]
  }
}

extension LocalizationCriterion {
  /// The thresholds that fit on a line; the others are in the JSON.
  fileprivate var printed: [Double] {
    switch self {
    case .iobb: thresholds
    case .iou: [0.1, 0.3, 0.5, 0.7]
    }
  }
}

extension Localization.Tally {
  fileprivate func json(of finding: Finding) -> JSONValue {
    func counts(_ criterion: LocalizationCriterion) -> JSONValue {
      .array(
        self[criterion].map { count in
          [
            "above": JSONValue(count.threshold), "hits": JSONValue(count.hits), "accuracy": JSONValue(accuracy(count)),
            "false_detections": JSONValue(count.falseDetections), "false_per_map": JSONValue(falsePerMap(count)),
          ]
        })
    }
    return [
      "name": .string(finding.name), "boxes": JSONValue(boxes), "maps": JSONValue(maps),
      "detections": JSONValue(detections), "iobb": counts(.iobb), "iou": counts(.iou),
    ]
  }
}

extension PublishedLocalization {
  fileprivate var json: JSONValue {
    [
      "source": .string(
        "Wang et al., CVPR 2017 (arXiv:1705.02315v5), Table \(table): their network trained on \(network), "
          + "all 984 boxes; afp is divided by 984"), "criterion": .string(criterion.rawValue),
      "above": JSONValue(criterion.thresholds),
      "findings": .array(
        Self.findings.map(\.finding).compactMap { finding in
          values(finding).map {
            [
              "name": .string(finding.name), "boxes": JSONValue($0.boxes), "accuracy": JSONValue($0.accuracy),
              "afp": JSONValue($0.falsePositives),
            ]
          }
        }),
    ]
  }
}

extension Finding {
  fileprivate var isPublished: Bool { PublishedLocalization.findings.contains { $0.finding == self } }
}

private func left(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(0, width - text.count))
}

private func right(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

private func percent(_ share: Double) -> String { decimals(100 * share, 1) }

/// 0.83, 12.4, 130: four columns for whatever is below 10 000.
private func threeDigits(_ value: Double) -> String { decimals(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0) }

private func counted(_ count: Int, _ noun: String) -> String {
  "\(count) \(noun)" + (count == 1 ? "" : noun.hasSuffix("x") ? "es" : "s")
}
