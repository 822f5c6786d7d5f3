import Evaluation
import Platform
import TestSupport
import Testing

/// Against R's pROC 1.18, R itself and the papers' sums over all pairs, as `Tools/make-fixtures/auroc_variances.py` recorded them.
@Suite struct StatisticsTests {
  struct Case {
    let isPositive: [Bool]
    let patients: [Int]
    let first: [Double]
    let second: [Double]
    let json: JSONValue

    init(_ json: JSONValue) throws {
      self.json = json
      func numbers(_ key: String) throws -> [Double] { try #require(json[key]?.array).compactMap(\.double) }
      isPositive = try numbers("labels").map { $0 == 1 }
      patients = try numbers("patients").map { Int($0) }
      (first, second) = (try numbers("first"), try numbers("second"))
    }

    func expected(_ group: String, _ key: String) throws -> Double { try #require(json[group]?[key]?.double) }
  }

  private static func recorded() throws -> JSONValue {
    try JSONValue.parse(try FileReader.contents(of: fixture("statistics/auroc.json")))
  }

  private static func cases() throws -> [Case] { try #require(try recorded()["cases"]?.array).map(Case.init) }

  /// Both sum a few hundred quotients of small integers in Double: 10⁻¹² of the value, z by a cancellation ten times that.
  @Test func `AUROC, DeLong's variance and the paired z are pROC's`() throws {
    let cases = try Self.cases()
    #expect(cases.count == 6)
    for one in cases {
      let first = try #require(PlacementValues(scores: one.first, isPositive: one.isPositive))
      let second = try #require(PlacementValues(scores: one.second, isPositive: one.isPositive))
      #expect(abs(first.auroc - (try one.expected("pROC", "auroc_first"))) < 1e-14)
      #expect(first.auroc == auroc(scores: one.first, isPositive: one.isPositive))
      for (placements, name) in [(first, "first"), (second, "second")] {
        let expected = try one.expected("pROC", "variance_\(name)")
        #expect(abs((try #require(placements.variance)) / expected - 1) < 1e-12)
      }
      let comparison = try #require(PairedComparison(first, second))
      #expect(abs((try #require(comparison.z)) / (try one.expected("pROC", "z")) - 1) < 1e-9)
      #expect(abs((try #require(comparison.pValue)) / (try one.expected("pROC", "p")) - 1) < 1e-8)
    }
  }

  @Test func `with patients, variance and covariance are Obuchowski's sums, and near the jackknife's`() throws {
    for one in try Self.cases() {
      let first = try #require(
        PlacementValues(scores: one.first, isPositive: one.isPositive, clusters: one.patients))
      let second = try #require(
        PlacementValues(scores: one.second, isPositive: one.isPositive, clusters: one.patients))
      let variance = try #require(first.variance)
      #expect(abs(variance / (try one.expected("clustered", "variance_first")) - 1) < 1e-12)
      #expect(abs((try #require(second.variance)) / (try one.expected("clustered", "variance_second")) - 1) < 1e-12)
      let covariance = try #require(first.covariance(with: second))
      #expect(abs(covariance / (try one.expected("clustered", "covariance")) - 1) < 1e-11)
      // Leaving one patient out changes the other kind's placement values too: a bias of the order of 1 / patients with a positive.
      let jackknife = try one.expected("jackknife", "variance_first")
      let positivePatients = Set(zip(one.patients, one.isPositive).filter(\.1).map(\.0)).count
      #expect(abs(variance / jackknife - 1) < 3 / Double(positivePatients))
    }
  }

  @Test func `patients' names do not matter, and images of a patient each are DeLong's`() throws {
    let one = try Self.cases()[3]
    let shuffled = one.patients.map { 3 * (999 - $0) }
    let plain = try #require(PlacementValues(scores: one.first, isPositive: one.isPositive, clusters: one.patients))
    let renamed = try #require(PlacementValues(scores: one.first, isPositive: one.isPositive, clusters: shuffled))
    #expect(abs(try #require(plain.variance) / (try #require(renamed.variance)) - 1) < 1e-12)
    let alone = try #require(
      PlacementValues(scores: one.first, isPositive: one.isPositive, clusters: one.first.indices.map { 2 * $0 }))
    #expect(alone.variance == PlacementValues(scores: one.first, isPositive: one.isPositive)?.variance)
  }

  @Test func `what is undefined is nil`() throws {
    #expect(PlacementValues(scores: [1, 2], isPositive: [true, true]) == nil)
    // One positive, or all positives of one patient: nothing to see a variance in.
    #expect(PlacementValues(scores: [1, 2, 3], isPositive: [true, false, false])?.variance == nil)
    let patient = PlacementValues(
      scores: [1, 2, 3, 4], isPositive: [true, true, false, false], clusters: [0, 0, 1, 2])
    #expect(patient?.variance == nil)
    #expect(ConfidenceInterval(auroc: 1, variance: 0) == nil)
    #expect(ConfidenceInterval(hits: 0, of: 0) == nil)
    let same = try #require(PlacementValues(scores: [1, 2, 3, 0], isPositive: [true, true, false, false]))
    #expect(PairedComparison(same, same)?.z == nil && PairedComparison(same, same)?.difference == 0)
    #expect(holmCorrected([nil, 0.02, nil, 0.03]) == [nil, 0.04, nil, 0.04])
  }

  @Test func `quantiles, Wilson's intervals and Holm's corrections are R's`() throws {
    let recorded = try Self.recorded()
    for row in try #require(recorded["quantiles"]?.array) {
      let (p, expected) = (try #require(row[0]?.double), try #require(row[1]?.double))
      #expect(abs(NormalDistribution.quantile(p) - expected) <= 1e-14 * max(abs(expected), 1), "\(p)")
      #expect(abs(NormalDistribution.twoSided(expected) - 2 * min(p, 1 - p)) < 1e-12)
    }
    for row in try #require(recorded["wilson"]?.array) {
      let numbers = try #require(row.array).compactMap(\.double)
      let interval = try #require(ConfidenceInterval(hits: Int(numbers[0]), of: Int(numbers[1])))
      #expect(abs(interval.low - numbers[2]) < 1e-12 && abs(interval.high - numbers[3]) < 1e-12, "\(numbers)")
    }
    let holm = try #require(recorded["holm"]?.array).map { try #require($0.array).compactMap(\.double) }
    for (found, expected) in zip(holmCorrected(holm[0]), holm[1]) {
      #expect(abs(try #require(found) - expected) < 1e-15)
    }
  }

  /// logit(0.8) ± 1.959964 · 0.03 / (0.8 · 0.2), by hand: 1.386294 ± 0.367494.
  @Test func `an AUROC's interval is symmetric in its logit`() throws {
    let interval = try #require(ConfidenceInterval(auroc: 0.8, variance: 0.0009))
    #expect(abs(interval.low - 0.734739) < 1e-6 && abs(interval.high - 0.852430) < 1e-6, "\(interval)")
  }
}
