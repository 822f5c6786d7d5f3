import Platform
import TestSupport
import Testing

@testable import Evaluation

/// Against scikit-learn and torchmetrics, as `Tools/make-fixtures/ranking_metrics.py` recorded them.
@Suite struct RankedScoresTests {
  struct Case {
    let probabilities: [Double]
    let isPositive: [Bool]
    let testProbabilities: [Double]
    let testIsPositive: [Bool]
    let json: JSONValue

    init(_ json: JSONValue) throws {
      func numbers(_ key: String) throws -> [Double] { try #require(json[key]?.array).compactMap(\.double) }
      (probabilities, testProbabilities) = (try numbers("probabilities"), try numbers("test_probabilities"))
      isPositive = try numbers("labels").map { $0 == 1 }
      testIsPositive = try numbers("test_labels").map { $0 == 1 }
      self.json = json
    }

    func expected(_ key: String) throws -> Double { try #require(json[key]?.double) }
  }

  private static func recorded() throws -> JSONValue {
    try JSONValue.parse(try FileReader.contents(of: fixture("statistics/metrics.json")))
  }

  private static func cases() throws -> [Case] { try #require(try recorded()["cases"]?.array).map(Case.init) }

  /// Sums of some hundred terms of at most 1 in Double.
  @Test func `areas and the Brier score are scikit-learn's`() throws {
    for one in try Self.cases() {
      let ranked = try #require(RankedScores(scores: one.probabilities, isPositive: one.isPositive))
      #expect(abs(ranked.auroc - (try one.expected("auroc"))) < 1e-14)
      #expect(abs(ranked.averagePrecision - (try one.expected("average_precision"))) < 1e-13)
      let calibration = try #require(Calibration(probabilities: one.probabilities, isPositive: one.isPositive))
      #expect(abs(calibration.brier - (try one.expected("brier"))) < 1e-13)
      #expect(calibration.bins.reduce(0) { $0 + $1.count } == one.probabilities.count)
    }
  }

  @Test func `the calibration error is torchmetrics'`() throws {
    let known = try Self.cases().filter { $0.json["calibration_error"]?.double != nil }
    #expect(known.count == 2)
    for one in known {
      let calibration = try #require(Calibration(probabilities: one.probabilities, isPositive: one.isPositive))
      #expect(abs(calibration.expectedError - (try one.expected("calibration_error"))) < 1e-12)
    }
  }

  @Test func `thresholds, and what they make of other images, are scikit-learn's`() throws {
    for one in try Self.cases() {
      let ranked = try #require(RankedScores(scores: one.probabilities, isPositive: one.isPositive))
      for rule in ThresholdRule.allCases {
        let expected = one.json["thresholds"]?[rule.rawValue]?.array?.compactMap(\.double)
        let threshold = ranked.threshold(rule)
        #expect(threshold == expected?[0], "\(rule)")
        guard let threshold, let expected else { continue }
        let point = OperatingPoint(
          threshold: threshold, scores: one.testProbabilities, isPositive: one.testIsPositive)
        let found = [point.trueNegatives, point.falsePositives, point.falseNegatives, point.truePositives]
        #expect(found == expected.dropFirst().map { Int($0) })
        #expect(point.sensitivity.hits == found[3] && point.sensitivity.count == found[2] + found[3])
        #expect(point.positivePredictiveValue.count == found[1] + found[3])
        #expect(
          point.negativePredictiveValue.value.map { $0 * Double(found[0] + found[2]) }?.rounded() == Double(found[0]))
      }
    }
  }

  /// Leaving one patient of 150 out changes the other kind's placements too: a bias of the order of a patient.
  @Test func `the variance of a mean of findings is the jackknife's over patients`() throws {
    let recorded = try #require(try Self.recorded()["mean"])
    func rows(_ key: String) throws -> [[Double]] {
      try #require(recorded[key]?.array).map { try #require($0.array).compactMap(\.double) }
    }
    let patients = try #require(recorded["patients"]?.array).compactMap { $0.integer }
    let placements = try zip(try rows("scores"), try rows("labels")).map { scores, labels in
      try #require(PlacementValues(scores: scores, isPositive: labels.map { $0 == 1 }, clusters: patients))
    }
    let variance = try #require(PlacementValues.varianceOfMean(placements))
    #expect(abs(variance / (try #require(recorded["jackknife"]?.double)) - 1) < 0.03)
  }

  @Test func `no threshold, no calibration, where there is none`() {
    // A third of the negatives share the highest score.
    let ranked = RankedScores(scores: [1, 1, 0, 0], isPositive: [true, false, false, false])
    #expect(ranked?.threshold(.specificity95) == nil && ranked?.threshold(.sensitivity95) == 1)
    #expect(Calibration(probabilities: [0.5, 1.5], isPositive: [true, false]) == nil)
    #expect(Calibration(probabilities: [], isPositive: []) == nil)
    // 1 belongs to the last bin, 0 to the first.
    let edges = Calibration(probabilities: [0, 1], isPositive: [false, true])
    #expect(edges?.bins.count == 2 && edges?.expectedError == 0 && edges?.brier == 0)
    let point = OperatingPoint(threshold: 2, scores: [1, 0], isPositive: [true, false])
    #expect(point.positivePredictiveValue.value == nil && point.positivePredictiveValue.interval == nil)
  }
}
