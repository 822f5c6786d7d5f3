import ChestXray
import Evaluation
import Platform
import Tensors
import TestSupport
import Testing

private let table = LabelTable(
  findings: ["Mass", "Hernia", "Edema"],
  samples: [
    Sample(image: "a/1.png", labels: [.positive, .negative, .unknown], patient: "7"),
    Sample(image: "2.png", labels: [.negative, .negative, .positive], patient: nil),
    Sample(image: "3,x.png", labels: [.unknown, .negative, .negative], patient: "8"),
  ])

private func predictions() -> Predictions {
  var predictions = Predictions(findings: ["Hernia", "Mass", "Extra"], table: table)
  let probabilities = [[0.1, 0.9, 0.5], [0.2, 0.1234567891234, 0.25], [1e-12, 0.3, 1]]
  for (sample, values) in zip(table.samples, probabilities) {
    predictions.append(image: sample.image, patient: sample.patient, probabilities: values, labels: sample.labels)
  }
  return predictions
}

@Suite struct PredictionsTests {
  @Test func `the file has nine digits, quoted names, and labels only where there are some`() {
    let expected = """
      Image Index,Patient ID,prob_Hernia,prob_Mass,prob_Extra,label_Hernia,label_Mass
      a/1.png,7,0.1,0.9,0.5,0,1
      2.png,,0.2,0.123456789,0.25,0,0
      "3,x.png",8,1e-12,0.3,1,0,

      """
    #expect(predictions().csv == expected)
  }

  @Test func `scoring the file again gives the same scores`() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/predictions.csv"
      try AtomicFile.write(predictions().csv, to: path, overwriting: false)
      let again = try Predictions(path: path, table: table)
      #expect(again.rows == predictions().rows)
      #expect(Scores(again) == Scores(predictions()))
    }
  }

  @Test(arguments: [
    ("Image,prob_Mass\n1.png,0.5\n", "scores.missing-column"),
    ("Image Index,Mass\n1.png,0.5\n", "scores.missing-column"),
    ("Image Index,prob_Mass\n1.png,nan\n", "scores.not-a-number"),
    ("Image Index,prob_Mass\n1.png,high\n", "scores.not-a-number"),
    ("Image Index,prob_Mass\n1.png,0.5\n1.png,0.6\n", "scores.duplicate-image"),
    ("Image Index,prob_Mass\n1.png,0.5\n2.png,0.5\n", "scores.missing-images"),
    ("Image Index,prob_Nodule\n1.png,0.5\n", "findings.none-in-common"),
  ])
  func `a file that cannot be scored says why`(text: String, id: String) throws {
    try inTemporaryFolder { folder in
      try AtomicFile.write(text, to: folder + "/p.csv", overwriting: false)
      do {
        _ = try Predictions(path: folder + "/p.csv", table: table)
        Issue.record("accepted \(text)")
      } catch let error as EvaluationError {
        #expect(error.diagnosis.id == id)
        #expect(error.diagnosis.exit == .badData)
      }
    }
  }
}

@Suite struct ScoresTests {
  @Test func `undefined findings are n/a and not in the mean, unknown labels are left out`() {
    let scores = Scores(predictions())
    #expect(scores.findings.map(\.name) == ["Hernia", "Mass"])
    #expect(scores.findings.map(\.auroc) == [nil, 1])
    #expect(scores.findings.map(\.positives) == [0, 1])
    #expect(scores.findings.map(\.negatives) == [3, 1])
    #expect(scores.mean == 1)
    #expect(scores.unlabelled == ["Extra"])
  }

  /// Two hundred images of fifty patients.
  @Test func `the interval is that of the method, around the same AUROC`() throws {
    var random = CounterRandom(seed: 5, purpose: .shuffle)
    let rows = (0..<200).map { index -> (String, Double, Bool) in
      let (patient, isPositive) = (index / 4, index % 3 == 0)
      return ("\(patient)", min(max((isPositive ? 0.6 : 0.4) + 0.2 * random.normal(), 0), 1), isPositive)
    }
    let table = LabelTable(
      findings: ["Mass"],
      samples: rows.enumerated().map {
        Sample(image: "\($0).png", labels: [$1.2 ? .positive : .negative], patient: $1.0)
      })
    var predictions = Predictions(findings: ["Mass"], table: table)
    for (sample, row) in zip(table.samples, rows) {
      predictions.append(image: sample.image, patient: sample.patient, probabilities: [row.1], labels: sample.labels)
    }
    func interval(_ method: ConfidenceMethod) throws -> ConfidenceInterval {
      try #require(Scores(predictions, confidence: method).findings[0].interval)
    }
    let exact = predictions.rows.map { $0.probabilities[0] }
    let byImage = try #require(PlacementValues(scores: exact, isPositive: rows.map(\.2)))
    let byPatient = try #require(
      PlacementValues(scores: exact, isPositive: rows.map(\.2), clusters: rows.map { Int($0.0) ?? 0 }))
    #expect(try interval(.delong) == ConfidenceInterval(auroc: byPatient.auroc, variance: byPatient.variance))
    #expect(try interval(.delongImages) == ConfidenceInterval(auroc: byImage.auroc, variance: byImage.variance))
    #expect(try interval(.delong) != interval(.delongImages))
    let bootstrap = try interval(.bootstrap)
    #expect(bootstrap.low < byPatient.auroc && bootstrap.high > byPatient.auroc)
    let json = Scores(predictions).json
    #expect(json["patients"] == 50 && json["confidence"] == "delong")
    #expect(json["findings"]?[0]?["low"]?.double == (try interval(.delong)).low)
  }
}
