import Platform
import Testing

@testable import Evaluation

@Suite struct BootstrapTests {
  /// 300 images of 80 patients, whose images share a part of their scores; one label in ten is unknown.
  private struct Sample {
    var scores: [Double] = []
    var labels: [Bool?] = []
    var patients: [Int] = []

    init(seed: UInt64) {
      var random = CounterRandom(seed: seed, purpose: .shuffle)
      let shared = (0..<80).map { _ in random.normal() }
      for index in 0..<300 {
        let patient = index * 80 / 300
        let isPositive = random.uniform() < 0.3
        // Rounded: ties.
        let score = ((isPositive ? 1 : 0) + shared[patient] + random.normal()) * 5
        scores.append(score.rounded() / 5)
        labels.append(random.uniform() < 0.1 ? nil : isPositive)
        patients.append(patient)
      }
    }
  }

  @Test func `a replicate's AUROC is that of its patients' images, as often as they were drawn`() {
    let sample = Sample(seed: 1)
    let bootstrap = ClusterBootstrap(clusters: sample.patients, replicates: 50, seed: 3, pool: ThreadPool(threads: 2))
    let found = bootstrap.aurocs([(sample.scores, sample.labels)])[0]
    #expect(found.count == 50 && Set(found).count > 45)
    for (replicate, area) in found.enumerated() {
      let counts = bootstrap.counts(replicate)
      #expect(counts.reduce(0, +) == 80)
      var (scores, isPositive): ([Double], [Bool]) = ([], [])
      for index in sample.scores.indices {
        guard let label = sample.labels[index] else { continue }
        for _ in 0..<counts[sample.patients[index]] {
          scores.append(sample.scores[index])
          isPositive.append(label)
        }
      }
      #expect(area == auroc(scores: scores, isPositive: isPositive))
    }
  }

  @Test func `threads change nothing, another seed does`() {
    let sample = Sample(seed: 2)
    func areas(_ threads: Int, _ seed: UInt64) -> [Double?] {
      ClusterBootstrap(clusters: sample.patients, replicates: 20, seed: seed, pool: ThreadPool(threads: threads))
        .aurocs([(sample.scores, sample.labels)])[0]
    }
    #expect(areas(1, 1) == areas(3, 1))
    #expect(areas(1, 1) != areas(1, 2))
  }

  /// The deviation of 2,000 replicates is known to 1.6 %, and the bootstrap's variance is the clustered one's but for terms of the
  /// order of one patient of 80.
  @Test func `replicates deviate as the clustered variance says`() throws {
    let sample = Sample(seed: 4)
    let areas = ClusterBootstrap(clusters: sample.patients, pool: ThreadPool(threads: 2))
      .aurocs([(sample.scores, sample.labels)])[0].compactMap(\.self)
    let mean = areas.reduce(0, +) / Double(areas.count)
    let deviation = (areas.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(areas.count)).squareRoot()
    let known = sample.labels.indices.filter { sample.labels[$0] != nil }
    let placements = try #require(
      PlacementValues(
        scores: known.map { sample.scores[$0] }, isPositive: known.map { sample.labels[$0] == true },
        clusters: known.map { sample.patients[$0] }))
    #expect(abs(deviation / (try #require(placements.variance)).squareRoot() - 1) < 0.08)
  }

  /// Two findings of the same images, one of them the other's opposite in half of its labels: their mean deviates as the covariances say.
  @Test func `the mean of two findings deviates as the variance of the mean says`() throws {
    let sample = Sample(seed: 6)
    let other: [Bool?] = sample.labels.enumerated().map { index, label in
      index % 7 == 0 ? nil : index % 2 == 0 ? label : sample.scores[index] > 0.8
    }
    let findings = [(sample.scores, sample.labels), (sample.scores.map { $0 * $0 }, other)]
    let areas = ClusterBootstrap(clusters: sample.patients, pool: ThreadPool(threads: 2)).aurocs(findings)
    let means = zip(areas[0], areas[1]).compactMap { first, second in
      first.flatMap { first in second.map { (first + $0) / 2 } }
    }
    let mean = means.reduce(0, +) / Double(means.count)
    let deviation = (means.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(means.count)).squareRoot()
    let placements = try findings.map { scores, labels in
      let known = labels.indices.filter { labels[$0] != nil }
      return try #require(
        PlacementValues(
          scores: known.map { scores[$0] }, isPositive: known.map { labels[$0] == true },
          clusters: known.map { sample.patients[$0] }))
    }
    let variance = try #require(PlacementValues.varianceOfMean(placements))
    #expect(abs(deviation / variance.squareRoot() - 1) < 0.08)
    // What it would be if patients moved the findings apart.
    let apart = try placements.reduce(0) { $0 + (try #require($1.variance)) } / 4
    #expect(abs(variance / apart - 1) > 0.2)
    #expect(PlacementValues.varianceOfMean([placements[0]]) == placements[0].variance)
  }

  @Test func `the interval's ends are the 50th and the 1951st of 2000`() {
    let values = (1...2000).shuffled().map { Double($0) as Double? }
    #expect(ClusterBootstrap.interval(values) == ConfidenceInterval(low: 50, high: 1951))
    #expect(ClusterBootstrap.interval(Array(values.prefix(1800)) + [Double?](repeating: nil, count: 200)) == nil)
    #expect(ClusterBootstrap.interval([]) == nil)
  }
}
