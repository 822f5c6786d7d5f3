import ChestXray
import Evaluation
import Platform
import Tensors

extension Settings {
  /// One finding over ChestX-ray14's test list of 25,596 images, a tenth positive; probabilities of nine digits.
  func areaUnderCurve() throws -> Work {
    let count = 25_596
    var random = CounterRandom(seed: 1, purpose: .shuffle)
    let scores = (0..<count).map { _ in (random.uniform() * 1e9).rounded() / 1e9 }
    let isPositive = (0..<count).map { _ in random.uniform() < 0.1 }
    return Work(unit: .scoresPerSecond(count: count), subject: "one finding, \(count) scores") {
      _ = auroc(scores: scores, isPositive: isPositive)
    }
  }

  /// All that is said of fourteen findings over the 70/10/20 test list: 22,433 images of 6,187 patients, a fourteenth positive.
  func scores(_ confidence: ConfidenceMethod) throws -> Work {
    let (count, patients) = (22_433, 6_187)
    var random = CounterRandom(seed: 2, purpose: .shuffle)
    let findings = Finding.allCases.map(\.name)
    let table = LabelTable(
      findings: findings,
      samples: (0..<count).map { index in
        let labels = findings.map { _ in random.uniform() < 1 / 14.0 ? Label.positive : .negative }
        return Sample(image: "\(index).png", labels: labels, patient: "\(index * patients / count)")
      })
    var predictions = Predictions(findings: findings, table: table)
    for sample in table.samples {
      let probabilities = sample.labels.map { ($0 == .positive ? 0.2 : 0) + 0.8 * random.uniform() }
      predictions.append(
        image: sample.image, patient: sample.patient, probabilities: probabilities, labels: sample.labels)
    }
    let pool = pool
    let subject = "\(findings.count) findings, \(count) images of \(patients) patients, \(confidence.rawValue)"
    return Work(unit: .milliseconds, subject: subject) {
      _ = Scores(predictions, confidence: confidence, pool: pool)
    }
  }
}
