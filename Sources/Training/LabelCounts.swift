import ChestXray
import Engine

/// How often each class of a data set is positive, negative and unknown.
struct LabelCounts: Equatable {
  /// One for each class, in the data set's order.
  private(set) var positives: [Int]
  private(set) var negatives: [Int]
  private(set) var unknown: [Int]

  init(of dataset: Dataset) {
    positives = [Int](repeating: 0, count: dataset.classes.count)
    (negatives, unknown) = (positives, positives)
    for sample in 0..<dataset.count {
      for (index, label) in dataset.labels(of: sample).enumerated() {
        switch label {
        case .positive: positives[index] += 1
        case .negative: negatives[index] += 1
        case .unknown: unknown[index] += 1
        }
      }
    }
  }

  /// w₊ = n₋/n and w₋ = n₊/n over the known labels of each class.
  var classWeights: ClassWeights {
    func share(_ part: [Int]) -> [Float] {
      part.indices.map { Float(part[$0]) / Float(max(positives[$0] + negatives[$0], 1)) }
    }
    return ClassWeights(positive: share(negatives), negative: share(positives))
  }
}
