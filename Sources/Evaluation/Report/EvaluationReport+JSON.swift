import Platform

extension EvaluationReport {
  /// `{"list": {…}, "checkpoints": [{"name", "images", "patients", "mean_auroc", "mean_low", "mean_high", "confidence", "findings": [{"name",
  /// "positives", "negatives", "auroc", "low", "high", …}], "unlabelled", "trained_on", "groups"}], "comparisons": […], "published": {…}}`;
  /// what is undefined is null.
  public var json: JSONValue {
    [
      "list": list.json, "checkpoints": .array(columns.map(json)), "comparisons": .array(comparisons.map(json)),
      "published": published.map {
        ["name": .string($0.rawValue), "source": .string($0.source), "split": .string($0.split)]
      } ?? .null,
      "warnings": JSONValue(warnings), "unverified": JSONValue(unverified),
    ]
  }

  private func json(_ column: Column) -> JSONValue {
    var object = JSONObject([("name", .string(column.name))] + column.scores.json.members.map { ($0.key, $0.value) })
    object["findings"] = .array(
      column.scores.findings.map { finding in
        var json = finding.json
        if let published = published?.auroc(of: finding.name) {
          json["published_auroc"] = JSONValue(published)
          json["published"] = JSONValue(finding.interval?.place(of: published))
        }
        if let thresholds = column.thresholds.first(where: { $0.name == finding.name }) {
          json["thresholds"] = .array(thresholds.points.map { Self.json($0.rule, $0.point) })
        }
        return .object(json)
      })
    object["trained_on"] = .array(
      column.trainedOn.map {
        [
          "list": .string($0.list), "found": .bool($0.overlap != nil),
          "images": $0.overlap.map { JSONValue($0.images.count) } ?? .null,
          "patients": $0.overlap.map { JSONValue($0.patients.count) } ?? .null,
        ]
      })
    object["groups"] = .array(
      column.subgroups.map { group in
        .object(
          JSONObject(
            [("attribute", .string(group.attribute)), ("value", .string(group.value))]
              + group.scores.json.members.map { ($0.key, $0.value) }))
      })
    return .object(object)
  }

  private func json(_ comparison: Comparison) -> JSONValue {
    [
      "first": .string(columns[comparison.first].name), "second": .string(columns[comparison.second].name),
      "findings": .array(
        comparison.findings.map {
          // The second less the first, as the table has it.
          [
            "name": .string($0.name), "difference": JSONValue($0.test.map { -$0.difference }),
            "low": JSONValue($0.test.map { -$0.interval.high }), "high": JSONValue($0.test.map { -$0.interval.low }),
            "z": JSONValue($0.test?.z.map { -$0 }), "p": JSONValue($0.test?.pValue),
            "p_holm": JSONValue($0.correctedP),
          ]
        }),
    ]
  }

  private static func json(_ rule: ThresholdRule, _ point: OperatingPoint) -> JSONValue {
    func json(_ share: OperatingPoint.Proportion) -> JSONValue {
      [
        "value": JSONValue(share.value), "low": JSONValue(share.interval?.low), "high": JSONValue(share.interval?.high),
        "hits": JSONValue(share.hits), "count": JSONValue(share.count),
      ]
    }
    return [
      "rule": .string(rule.rawValue), "threshold": JSONValue(point.threshold), "sensitivity": json(point.sensitivity),
      "specificity": json(point.specificity), "ppv": json(point.positivePredictiveValue),
      "npv": json(point.negativePredictiveValue),
    ]
  }
}

extension Scores {
  /// `{"images", "patients", "mean_auroc", "mean_low", "mean_high", "confidence", "findings": […], "unlabelled"}`; undefined is null.
  public var json: JSONObject {
    JSONObject([
      ("images", JSONValue(images)), ("patients", JSONValue(patients)), ("mean_auroc", JSONValue(mean)),
      ("mean_low", JSONValue(meanInterval?.low)), ("mean_high", JSONValue(meanInterval?.high)),
      ("mean_average_precision", JSONValue(mean(of: \.averagePrecision))),
      ("confidence", confidence == .none ? .null : .string(confidence.rawValue)),
      ("findings", .array(findings.map { .object($0.json) })), ("unlabelled", JSONValue(unlabelled)),
    ])
  }
}

extension Scores.FindingScore {
  var json: JSONObject {
    [
      "name": .string(name), "positives": JSONValue(positives), "negatives": JSONValue(negatives),
      "auroc": JSONValue(auroc), "low": JSONValue(interval?.low), "high": JSONValue(interval?.high),
      "few_positives": .bool(hasFewPositives), "average_precision": JSONValue(averagePrecision),
      "brier": JSONValue(calibration?.brier), "calibration_error": JSONValue(calibration?.expectedError),
    ]
  }
}
