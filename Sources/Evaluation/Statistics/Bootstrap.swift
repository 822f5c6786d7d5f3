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

  /// The AUROC of each replicate, of the images whose label is known; nil where it drew no positive, or no negative.
  ///
  /// - Parameters:
  ///   - scores: one for each image.
  ///   - labels: whether it is positive; nil where that is not known.
  public func aurocs(scores: [Double], labels: [Bool?]) -> [Double?] {
    precondition(scores.count == clusters.count && labels.count == clusters.count)
    let known = scores.indices.filter { labels[$0] != nil }.sorted { scores[$0] < scores[$1] }
    // What a replicate needs of each image, in the order of the scores.
    let images = known.enumerated().map { place, index in
      (
        cluster: Int32(clusters[index]), isPositive: labels[index] == true,
        // Whether the next one is no tie.
        endsTies: place + 1 == known.count || scores[known[place + 1]] != scores[index]
      )
    }
    return pool.map(replicates) { replicate in
      let counts = counts(replicate)
      var (belowNegatives, tiedPositives, tiedNegatives) = (0, 0, 0)
      var (positives, doubled) = (0, 0)
      for image in images {
        let count = Int(counts[Int(image.cluster)])
        if image.isPositive { tiedPositives += count } else { tiedNegatives += count }
        guard image.endsTies else { continue }
        doubled += tiedPositives * (2 * belowNegatives + tiedNegatives)
        positives += tiedPositives
        belowNegatives += tiedNegatives
        (tiedPositives, tiedNegatives) = (0, 0)
      }
      return positives > 0 && belowNegatives > 0
        ? Double(doubled) / (2 * Double(positives) * Double(belowNegatives)) : nil
    }
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
