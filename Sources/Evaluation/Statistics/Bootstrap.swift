import Foundation
import Platform

/// How AUROCs vary when patients are drawn again, with all of their images: a bootstrap of clusters (Efron and Tibshirani, *An Introduction to
/// the Bootstrap*, 1993, chapters 8 and 13).
///
/// Seed and number of a replicate decide its patients, so neither the number of threads nor that of findings matters.
public struct ClusterBootstrap: Sendable {
  /// 2,000: the ends of a 95 % interval are then the 50th and the 1,951st of the sorted values.
  public static let defaultReplicates = 2000

  private let clusters: [Int]
  private let clusterCount: Int
  private let replicates: Int
  private let seed: UInt64
  private let pool: ThreadPool

  /// `clusters`: the patient of each image, numbers from 0 on.
  public init(clusters: [Int], replicates: Int = defaultReplicates, seed: UInt64 = 1, pool: ThreadPool) {
    self.clusters = clusters
    self.clusterCount = (clusters.max() ?? -1) + 1
    self.replicates = replicates
    self.seed = seed
    self.pool = pool
  }

  /// A finding's scores, one for each image, and whether it is positive; nil where that is not known.
  public typealias Finding = (scores: [Double], labels: [Bool?])

  /// The AUROCs of each finding in each replicate, of the images whose label is known; nil where it drew no positive, or no negative. Patients
  /// are drawn once for all findings: their AUROCs in a replicate belong together.
  public func aurocs(_ findings: [Finding]) -> [[Double?]] {
    let ranked = findings.map(RankedImages.init)
    for finding in findings { precondition(finding.scores.count == clusters.count) }
    let streams = ranked.map { $0.stream(clusters) }
    let replicates = pool.map(replicates) { replicate in
      let counts = counts(replicate)
      return streams.map { RankedImages.auroc($0, counts) }
    }
    return findings.indices.map { finding in replicates.map { $0[finding] } }
  }

  /// How often each cluster was drawn.
  func counts(_ replicate: Int) -> [Int32] {
    var random = CounterRandom(seed: seed, purpose: .bootstrap, sample: replicate)
    var counts = [Int32](repeating: 0, count: clusterCount)
    for _ in 0..<clusterCount { counts[random.below(clusterCount)] += 1 }
    return counts
  }

  /// The middle of the replicates' AUROCs: of 2,000 values the 50th and the 1,951st are the ends of 95 %.
  ///
  /// Nil where a twentieth or more of the replicates are undefined: what is left would be another experiment.
  public static func interval(_ replicates: [Double?], confidence: Double = 0.95) -> ConfidenceInterval? {
    let values = replicates.compactMap(\.self).sorted()
    guard !values.isEmpty, Double(values.count) > 0.95 * Double(replicates.count) else { return nil }
    let tail = Int(((1 - confidence) / 2 * Double(values.count)).rounded(.down))
    return ConfidenceInterval(low: values[max(tail - 1, 0)], high: values[min(values.count - tail, values.count - 1)])
  }
}

/// The images of a finding whose label is known, from the lowest score up.
private struct RankedImages {
  /// In each: the image's index, whether it is positive, and whether the next one is no tie.
  private let images: [(index: Int, isPositive: Bool, endsTies: Bool)]

  init(_ finding: ClusterBootstrap.Finding) {
    precondition(finding.scores.count == finding.labels.count)
    let scores = finding.scores
    let known = scores.indices.filter { finding.labels[$0] != nil }.sorted { scores[$0] < scores[$1] }
    images = known.enumerated().map { place, index in
      (index, finding.labels[index] == true, place + 1 == known.count || scores[known[place + 1]] != scores[index])
    }
  }

  /// What a replicate reads of each image, packed: its cluster · 4 + whether it is positive · 2 + whether it ends ties.
  func stream(_ clusters: [Int]) -> [Int32] {
    images.map { Int32(clusters[$0.index]) << 2 | ($0.isPositive ? 2 : 0) | ($0.endsTies ? 1 : 0) }
  }

  /// Of images that stand as often as `counts` says of their cluster.
  static func auroc(_ stream: [Int32], _ counts: [Int32]) -> Double? {
    var (belowNegatives, tiedPositives, tiedNegatives, positives, doubled) = (0, 0, 0, 0, 0)
    counts.withUnsafeBufferPointer { counts in
      for image in stream {
        let count = Int(counts[Int(image >> 2)])
        let ofPositives = image & 2 != 0 ? count : 0
        tiedPositives += ofPositives
        tiedNegatives += count - ofPositives
        guard image & 1 != 0 else { continue }
        doubled += tiedPositives * (2 * belowNegatives + tiedNegatives)
        positives += tiedPositives
        belowNegatives += tiedNegatives
        (tiedPositives, tiedNegatives) = (0, 0)
      }
    }
    guard positives > 0, belowNegatives > 0 else { return nil }
    return Double(doubled) / (2 * Double(positives) * Double(belowNegatives))
  }
}
